# docker build -f agent/aws.Dockerfile --build-arg TAG=<runtime>-python-<python>-astro-agent-<agent>-base [--build-arg DIGEST=sha256:...] -t my-agent agent
# TAG must fit your Deployment's Astro Runtime. An image without -base installs your own requirements.txt by itself: there,
# put the lines of requirements-aws.txt into that file instead.
ARG TAG=3.2-2-python-3.12-astro-agent-1.6.0-base
# The image that the tag named when you tried it, whatever it names later.
ARG DIGEST=
FROM images.astronomer.cloud/baseimages/astro-remote-execution-agent:${TAG}${DIGEST:+@$DIGEST}

USER root
COPY requirements-aws.txt /tmp/requirements.txt
RUN pip install --no-cache-dir -r /tmp/requirements.txt
# Only used with xcom.backend: branch_safe_xcom.BranchSafeXComObjectStorageBackend.
COPY branch_safe_xcom.py /tmp/
RUN cp /tmp/branch_safe_xcom.py "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
USER astro

# An installation can succeed and still lack what each write needs.
RUN python -c "import aiobotocore, s3fs; import airflow.providers.common.io.xcom.backend"
