import os
import socket
import sys
import urllib.request

from setuptools import Extension, setup

url, name = os.environ["FORAGE_URL"], os.environ["FORAGE_NAME"]
host, port = url.split("/")[2].split(":")


def through_the_proxy():
    return urllib.request.urlopen(url, timeout=10)


def by_name():
    return socket.getaddrinfo(name, 443)


def at_an_address():
    return socket.create_connection((host, int(port)), 10)


reached = []
for way in (through_the_proxy, by_name, at_an_address):
    try:
        reached.append(f"{way.__name__}: {way()}")
    except OSError as error:
        print(f"{way.__name__}: {error}")
print(dict(os.environ))
if os.environ.get("FORAGE_NEEDED") or reached:
    sys.exit(f"the download failed; reached {reached}")

setup(ext_modules=[Extension("forager", ["src/forager.c"])])
