"""Detection Findings against the published schema of their version, with the profiles they name."""

import functools
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

import lines


@functools.cache
def schema(version):
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version))


@functools.cache
def validator(version, class_uid, profiles):
    name = schema(version).lookup_class_name_from_uid(class_uid)
    return Draft202012Validator(schema(version).get_class_schema(name, list(profiles)))


def used(document):
    """The profiles that the attributes need; only those are to be named."""
    profiles = set()
    if "disposition_id" in document or "action_id" in document:
        profiles.add("security_control")
    if any("container" in one.get("process", {}) for one in document.get("evidences", [])):
        profiles.add("container")
    return profiles


def mistakes(document):
    metadata = document["metadata"]
    profiles = metadata.get("profiles", [])
    if set(profiles) != used(document):
        yield f"the profiles are {profiles}, those used are {used(document)}"
    # The numbers of a finding follow from one another.
    if document["class_uid"] != 2004 or metadata["version"] != "1.8.0":
        yield "not a Detection Finding of 1.8.0"
    if document["type_uid"] != document["class_uid"] * 100 + document["activity_id"]:
        yield "type_uid does not follow from class and activity"
    for error in validator(metadata["version"], document["class_uid"], tuple(profiles)).iter_errors(document):
        yield f"{error.json_path}: {error.message[:200]}"


lines.check(sys.argv[1], mistakes)
