"""Requests of log records by OpenTelemetry's own messages: as JSON, and the same as protobuf."""

import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import lines


def keys(attributes):
    found = [attribute.key for attribute in attributes]
    if len(set(found)) != len(found):
        yield f"an attribute comes twice: {sorted(found)}"
    if not all(found):
        yield "an attribute has no name"
    if not all(attribute.value.WhichOneof("value") for attribute in attributes):
        yield "an attribute has no value"


def mistakes(document):
    # The line holds both encodings of one request. OTLP's JSON has other rules than protobuf's for
    # bytes, of which there are none, and for enums, which are numbers.
    request = json_format.Parse(json.dumps(document["json"]), ExportLogsServiceRequest())
    sent = bytes.fromhex(document["protobuf"])
    binary = ExportLogsServiceRequest()
    binary.ParseFromString(sent)
    if binary != request:
        yield "JSON and protobuf differ"
    # What is not known is part of the size, and of no field.
    binary.DiscardUnknownFields()
    if binary.ByteSize() != len(sent):
        yield "the protobuf has fields that are not known"
    (resource,) = request.resource_logs
    yield from keys(resource.resource.attributes)
    (scope,) = resource.scope_logs
    (record,) = scope.log_records
    yield from keys(record.attributes)
    if not (record.time_unix_nano and record.observed_time_unix_nano and record.event_name):
        yield "a time or the event's name is missing"
    if not 1 <= record.severity_number <= 24 or not record.body.HasField("string_value"):
        yield "the severity or the body is missing"
    raw = document["json"]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    if not isinstance(raw["timeUnixNano"], str) or not isinstance(raw["severityNumber"], int):
        yield "64-bit integers are to be texts, and enums numbers"
    for attribute in raw["attributes"]:
        if not isinstance(attribute["value"].get("intValue", ""), str):
            yield "64-bit integers are to be texts"


lines.check(sys.argv[1], mistakes)
