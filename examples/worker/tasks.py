"""A worker in small: a task that reads, encrypts and draws a document, and a call by gRPC on this machine."""

import io
from concurrent.futures import ThreadPoolExecutor

import grpc
import psycopg
from celery import Celery
from cryptography.fernet import Fernet
from google.protobuf import wrappers_pb2
from lxml import etree
from PIL import Image

app = Celery("worker", broker="memory://")
app.conf.task_always_eager = True
_METHOD = "/worker.Echo/Echo"


@app.task
def draw(document: bytes) -> int:
    """Return the width of the picture that is made of a document."""
    key = Fernet(Fernet.generate_key())
    text = key.decrypt(key.encrypt(etree.fromstring(document).text.encode()))
    picture = io.BytesIO()
    Image.new("RGB", (len(text), 1)).save(picture, "PNG")
    return Image.open(io.BytesIO(picture.getvalue())).width


class Echo(grpc.GenericRpcHandler):
    """Answers what it is asked."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return who answers a call."""
        if details.method != _METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def call_by_network(value: int) -> int:
    """Return a number that went to a server on this machine and back."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=(Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer = channel.unary_unary(_METHOD)(
                wrappers_pb2.Int32Value(value=value).SerializeToString(), timeout=20
            )
    finally:
        server.stop(None).wait()
    return wrappers_pb2.Int32Value.FromString(answer).value


if __name__ == "__main__":
    assert draw.delay(b"<note>four</note>").get() == 4
    assert call_by_network(7) == 7
    assert psycopg.pq.version() > 150000
    print("the worker works")
