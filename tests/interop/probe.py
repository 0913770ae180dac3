"""Health and reflection by a client of other make, which knows nothing of our messages.

Arguments: ADDRESS CERTIFICATE. Every line on stdin is a command in JSON with a number `n`, and every
answer a line on stdout with that number. `watch` is answered whenever the server says something, and
when it ends.
"""
import json
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

import health_pb2
import reflection_pb2

STATUS = health_pb2.HealthCheckResponse.ServingStatus
HEALTH = "/grpc.health.v1.Health/"
printing = threading.Lock()


def say(**answer):
    with printing:
        print(json.dumps(answer), flush=True)


def check(channel, service, filler):
    call = channel.unary_unary(
        f"{HEALTH}Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    metadata = (("filler", "x" * filler),)
    request = health_pb2.HealthCheckRequest(service=service)
    return STATUS.Name(call(request, metadata=metadata).status)


def watch(channel, service, n):
    call = channel.unary_stream(
        f"{HEALTH}Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        for answer in call(health_pb2.HealthCheckRequest(service=service)):
            say(n=n, answer=STATUS.Name(answer.status))
    except grpc.RpcError as error:
        say(n=n, error=error.code().name, details=error.details())


def statuses(channel):
    call = channel.unary_unary(
        f"{HEALTH}List",
        request_serializer=health_pb2.HealthListRequest.SerializeToString,
        response_deserializer=health_pb2.HealthListResponse.FromString,
    )
    answer = call(health_pb2.HealthListRequest())
    return {name: STATUS.Name(each.status) for name, each in answer.statuses.items()}


def reflect(channel, version, **request):
    """Both versions have the same messages."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return next(call(iter([reflection_pb2.ServerReflectionRequest(**request)])))


def services(channel, version):
    answer = reflect(channel, version, list_services="*")
    return sorted(each.name for each in answer.list_services_response.service)


def control(channel, method, version):
    """Calls a method of Control by what reflection tells of it."""
    pool = descriptor_pool.DescriptorPool()
    answer = reflect(channel, version, file_containing_symbol="scistream.Control")
    for each in reversed(answer.file_descriptor_response.file_descriptor_proto):
        pool.Add(descriptor_pb2.FileDescriptorProto.FromString(each))
    described = pool.FindServiceByName("scistream.Control").methods_by_name[method]
    factory = message_factory.MessageFactory(pool)
    call = channel.unary_unary(
        f"/scistream.Control/{method}",
        request_serializer=factory.GetPrototype(described.input_type).SerializeToString,
        response_deserializer=factory.GetPrototype(described.output_type).FromString,
    )
    return json_format.MessageToDict(
        call(factory.GetPrototype(described.input_type)()),
        including_default_value_fields=True,
        preserving_proto_field_name=True,
    )


def answer(channel, command):
    if "check" in command:
        return check(channel, command["check"], command.get("filler", 0))
    if "list" in command:
        return statuses(channel)
    if "services" in command:
        return services(channel, command["services"])
    if "symbol" in command:
        error = reflect(channel, "v1", file_containing_symbol=command["symbol"]).error_response
        return [error.error_code, error.error_message]
    return control(channel, command["control"], command["version"])


address, certificate = sys.argv[1:]
with open(certificate, "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
with grpc.secure_channel(address, credentials, [("grpc.enable_http_proxy", 0)]) as channel:
    for line in sys.stdin:
        command = json.loads(line)
        n = command["n"]
        if "watch" in command:
            work = (channel, command["watch"], n)
            threading.Thread(target=watch, args=work, daemon=True).start()
            continue
        try:
            say(n=n, answer=answer(channel, command))
        except grpc.RpcError as error:
            say(n=n, error=error.code().name, details=error.details())
