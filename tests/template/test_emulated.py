"""What the local stack deploys is the template, but for what MiniStack can't do."""

from collections.abc import Iterator
from typing import Any

import pytest

from local_stack.emulated import BATCH_NAMES, emulated
from local_stack.template import Template

type Place = tuple[str | int, ...]
type Difference = tuple[Place, Any, Any]


@pytest.fixture(scope="module")
def differences() -> list[Difference]:
    """Each place in which the two differ, with what the template has and what MiniStack gets."""
    document = Template.load().document
    return list(different(document, emulated(document, {"MaxConcurrency": "7"})))


def different(before: Any, after: Any, place: Place = ()) -> Iterator[Difference]:
    match before, after:
        case dict(), dict():
            for key in before | after:
                yield from different(before.get(key), after.get(key), (*place, key))
        case list(), list() if len(before) == len(after):
            for index, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from different(one, other, (*place, index))
        case _ if before != after:
            yield place, before, after


def is_resource(place: Place) -> bool:
    return place[0] == "Resources" and len(place) == 2


def of_roles(difference: Difference) -> bool:
    place = difference[0]
    return place[2:4] == ("Properties", "Policies") and place[-1] == "Action"


def of_attributes(difference: Difference) -> bool:
    return "dynamodb:Attributes" in str(difference[1]) and difference[0][-1] == "Condition"


def of_tls(difference: Difference) -> bool:
    return difference[0][-3:] == ("Properties", "PolicyDocument", "Statement")


def of_pollers(difference: Difference) -> bool:
    return difference[0][-1] == "MaximumConcurrency"


def test_only_what_is_unknown_is_left_out(differences: list[Difference]) -> None:
    left_out = [(before, after) for place, before, after in differences if is_resource(place)]

    assert left_out
    assert {after for _, after in left_out} == {None}
    for resource, _ in left_out:
        if resource["Type"] == "AWS::S3::BucketPolicy":
            (lost,) = resource["Properties"]["PolicyDocument"]["Statement"]
            assert lost["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        else:
            assert resource["Type"].startswith("AWS::Logs::") or "Metrics" in resource["Properties"]


def test_only_batch_names_are_added_to_rights(differences: list[Difference]) -> None:
    changed = [(before, after) for _, before, after in filter(of_roles, differences)]

    assert changed
    for before, after in changed:
        allowed = {before} if isinstance(before, str) else set(before)
        assert set(after) == allowed | {BATCH_NAMES[each] for each in allowed if each in BATCH_NAMES}


def test_a_poller_gets_the_number_it_stands_for(differences: list[Difference]) -> None:
    ((place, before, after),) = filter(of_pollers, differences)

    assert place[:2] == ("Resources", "ForwarderFunction")
    assert (before, after) == ({"Ref": "MaxConcurrency"}, 7)


def test_only_ingest_loses_its_limit_to_attributes(differences: list[Difference]) -> None:
    ((place, _, after),) = filter(of_attributes, differences)

    assert place[1] == "IngestRole"
    assert after is None


def test_a_queues_policy_loses_nothing_but_tls(differences: list[Difference]) -> None:
    changed = list(filter(of_tls, differences))

    assert {place[1] for place, _, _ in changed} == {"EventsQueuePolicy", "DeadLetterQueuePolicy", "ParkedQueuePolicy"}
    for _, before, after in changed:
        (lost,) = [each for each in before if each not in after]
        assert after == [each for each in before if each != lost]
        assert lost["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_nothing_else_is_different(differences: list[Difference]) -> None:
    known = (of_roles, of_pollers, of_attributes, of_tls, lambda difference: is_resource(difference[0]))

    assert [each for each in differences if not any(is_known(each) for is_known in known)] == []


def test_the_template_knows_of_no_emulator(template: Template) -> None:
    rights = {
        right
        for role in template.of_type("AWS::IAM::Role")
        for actions, _ in template.statements(role).values()
        for right in actions
    }

    assert not rights & set(BATCH_NAMES.values())
    assert "AWS::AccountId" not in str(template.document["Conditions"])
