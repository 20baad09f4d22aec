"""What stands behind an OTLP collector: takes logs in protobuf, decoded by OpenTelemetry's own package.

A record becomes a request of its own in the file, with its resource and scope: in base64, one a line.
"""

import base64
import sys

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

import serve


def records(request):
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                one = ExportLogsServiceRequest()
                its = one.resource_logs.add()
                its.resource.CopyFrom(resource.resource)
                around = its.scope_logs.add()
                around.scope.CopyFrom(scope.scope)
                around.log_records.add().CopyFrom(record)
                yield base64.b64encode(one.SerializeToString())


class Receiver(serve.Handler):
    out = None
    answers = "application/x-protobuf"

    def take(self, body):
        if self.path != "/v1/logs" or self.headers["Content-Type"] != "application/x-protobuf":
            raise serve.Refused(f"{self.path} of {self.headers['Content-Type']}")
        request = ExportLogsServiceRequest()
        request.ParseFromString(body)
        self.out.write(records(request))
        return ExportLogsServiceResponse().SerializeToString()


Receiver.out = serve.Out(sys.argv[1])
serve.serve(Receiver)
