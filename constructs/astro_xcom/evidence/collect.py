"""One deployment -> its evidence. Pure, but for the synthesis that gave its JSON."""

from collections.abc import Iterator

from astro_xcom.evidence.answers import NAMES, QUESTIONS, Answer, Side, answers
from astro_xcom.evidence.model import AcceptedFinding, Evidence, Fact, Section, Source
from astro_xcom.evidence.volume import Volume
from astro_xcom.json_files import shaped
from astro_xcom.posture import ACCEPTED
from astro_xcom.report import State, applied_facts, check, planned_facts
from astro_xcom.report.terraform import Body
from astro_xcom.settings import Deployment


def evidence(
    name: str,
    deployment: Deployment,
    body: Body,
    state: State | None = None,
    *,
    file: str,
    volume: Volume | None = None,
) -> Evidence:
    """What is planned of a deployment with this Terraform JSON and, as far as a state is given, what is applied.

    `volume` adds what so many values come to. Raises SettingError for the state of something else.
    """
    report = check(deployment, body, state)
    stack, facts = planned_facts(deployment, body, state)
    plan = Side(cloud=report.cloud, stack=stack, facts=facts)
    applied = None
    if state is not None:
        applied = Side(cloud=report.cloud, stack=state.stack, facts=applied_facts(deployment, state))
    with shaped("has resources in another shape than `terraform show -json` gives them"):
        sections = tuple(
            Section(title=title, facts=tuple(_facts(answers(title, plan), _of_state(title, applied))))
            for title in QUESTIONS
        )
    return Evidence(
        file=file,
        deployment=name,
        cloud=report.cloud,
        compared=report.compared,
        sections=sections if volume is None else (*sections, volume.section(report)),
        accepted=tuple(
            AcceptedFinding(scanner=each.scanner, id=each.id, reason=each.reason, setting=each.setting)
            for each in ACCEPTED
            if each.fails(deployment)
        ),
        required=report.for_others,
        differences=report.findings,
    )


def _of_state(title: str, applied: Side | None) -> list[Answer] | None:
    """None where the state that was given does not tell: outputs have names alone."""
    if applied is None or (title != NAMES and not applied.stack.complete):
        return None
    return answers(title, applied)


def _facts(planned: list[Answer], applied: list[Answer] | None) -> Iterator[Fact]:
    def fact(answer: Answer, source: Source) -> Fact:
        return Fact(what=answer.what, value=answer.value, source=source, prose=answer.prose)

    for answer in planned:
        if applied is None or not answer.told:
            yield fact(answer, "planned")
        else:
            yield fact(answer, "applied" if answer in applied else "planned, not applied")
    for answer in applied or ():
        if answer.told and answer not in planned:
            yield fact(answer, "applied, not planned")
