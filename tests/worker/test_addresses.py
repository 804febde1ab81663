"""Which addresses are on the public Internet, and that a name is asked about once."""

import socket
import threading
import time

import pytest

from uwsd.worker.addresses import connect, is_public, resolve


def _addresses(*lines: str) -> list[str]:
    return [address for line in lines for address in line.split()]


PUBLIC = _addresses(
    "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255",
    "128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255",
    "172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0",
    "192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0",
    "203.0.112.255 203.0.114.0 223.255.255.255 2001:200:: 2001:4860:4860::8888",
    "2001:db7:ffff:: 2001:db9:: 2003:: 2606:4700::1111 2a00:1450::1 2620:fe::fe 3fff:1000::",
)

NOT_PUBLIC = _addresses(
    "0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255",
    "127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.0 169.254.169.254 172.16.0.0",
    "172.31.255.255 192.0.0.8 192.0.0.170 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.0",
    "192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.7 224.0.0.1",
    "239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::127.0.0.1 ::8.8.8.8",
    "::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::808:808",
    "64:ff9b:1::1 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1",
    "2001:20::1 2001:1ff:ffff:: 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3ffe::1 3fff::1",
    "3fff:fff:: 1fff:: 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%lo fec0::1",
    "ff02::1 ff0e::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_that_are_given_out_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_with_another_meaning_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_a_host_that_has_no_address_is_no_error() -> None:
    assert resolve("256.256.256.256.invalid", 80, timeout=5) == []


def test_a_name_server_that_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = threading.Event()

    def never(*_: object, **__: object) -> list[object]:
        answer.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    begin = time.monotonic()
    assert resolve("slow.example", 80, timeout=0.2) == []
    assert time.monotonic() - begin < 2
    answer.set()


def test_a_connection_that_leads_elsewhere_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (loopback,) = resolve("127.0.0.1", port, timeout=5)
        connect(loopback, timeout=5).close()
        (unspecified,) = resolve("0.0.0.0", port, timeout=5)
        with pytest.raises(ConnectionError):
            connect(unspecified, timeout=5)
