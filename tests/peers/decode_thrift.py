"""Decodes a Batch of jaeger.thrift with the code that Apache Thrift's compiler made for jaeger-client."""
import json, sys
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer
from jaeger_client.thrift_gen.jaeger import ttypes

def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "thrift_spec"):
        return {k: plain(v) for k, v in value.__dict__.items() if v is not None}
    return value

body = bytes(json.load(sys.stdin))
buffer = TMemoryBuffer(body)
batch = ttypes.Batch()
batch.read(TBinaryProtocol(buffer))
batch.validate()
for span in batch.spans:
    span.validate()
assert buffer.read(1) == b"", "bytes behind the batch"
json.dump(plain(batch), sys.stdout)
