#!/usr/bin/env python3
"""Makes test.mmdb: a database in MaxMind's format with a handful of networks that are kept for documentation
(RFC 5737, RFC 3849). Standard library only, and the same bytes each time.

  make_db.py > test.mmdb

The format: https://maxmind.github.io/MaxMind-DB/
"""
import ipaddress
import struct
import sys

NETWORKS = [
    ("192.0.2.0/24", {"country": {"iso_code": "DE"}}),
    ("198.51.100.0/25", {"country": {"iso_code": "FR"}}),
    ("198.51.100.128/25", {"country": {"iso_code": "JP"}}),
    # Known, but of no country; as of a satellite operator.
    ("203.0.113.0/24", {"registered_country": {"iso_code": "GB"}}),
    ("2001:db8:1::/48", {"country": {"iso_code": "BR"}}),
    ("2001:db8:2::/48", {"country": {"iso_code": "IN"}}),
]


class Uint16(int):
    """So wide in the metadata, as the format says."""


class Uint64(int):
    """So wide in the metadata, as the format says."""


def encode(value):
    """A value of the data section: a control byte (type << 5 | size), then the payload."""
    if isinstance(value, str):
        text = value.encode()
        assert len(text) < 29  # longer ones have their size elsewhere
        return bytes([2 << 5 | len(text)]) + text
    if isinstance(value, dict):
        return bytes([7 << 5 | len(value)]) + b"".join(encode(k) + encode(v) for k, v in value.items())
    if isinstance(value, Uint16):
        return bytes([5 << 5 | 2]) + struct.pack(">H", value)
    # Extended types have 0 in the control byte, then the type less 7.
    if isinstance(value, Uint64):
        return bytes([8, 9 - 7]) + struct.pack(">Q", value)
    if isinstance(value, int):
        return bytes([6 << 5 | 4]) + struct.pack(">I", value)
    if isinstance(value, list):
        return bytes([len(value), 11 - 7]) + b"".join(map(encode, value))
    raise TypeError(value)


def main():
    data, nodes = b"", [[None, None]]
    for network, entry in NETWORKS:
        network = ipaddress.ip_network(network)
        # IPv4 lies at ::/96.
        length = network.prefixlen + (96 if network.version == 4 else 0)
        bits = [int(network.network_address) >> (127 - i) & 1 for i in range(length)]
        node = 0
        for bit in bits[:-1]:
            if nodes[node][bit] is None:
                nodes[node][bit] = len(nodes)
                nodes.append([None, None])
            node = nodes[node][bit]
        # As a string, an offset into the data section, told from the number of a node.
        nodes[node][bits[-1]] = str(len(data))
        data += encode(entry)

    def record(child):
        if child is None:  # not found
            number = len(nodes)
        elif isinstance(child, str):
            number = len(nodes) + 16 + int(child)
        else:
            number = child
        return struct.pack(">I", number)[1:]  # 24 bits

    tree = b"".join(record(child) for node in nodes for child in node)
    metadata = {
        "binary_format_major_version": Uint16(2),
        "binary_format_minor_version": Uint16(0),
        "build_epoch": Uint64(1_700_000_000),
        "database_type": "Test-Country",
        "description": {"en": "networks for documentation"},
        "ip_version": Uint16(6),
        "languages": ["en"],
        "node_count": len(nodes),
        "record_size": Uint16(24),
    }
    sys.stdout.buffer.write(tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encode(metadata))


main()
