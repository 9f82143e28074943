"""Records of a TFRecord file, one after the other, each checked.

A record is its length (uint64), the masked CRC-32C of these eight bytes (uint32), the data, and the masked CRC-32C of the data; all
numbers are little-endian. https://www.tensorflow.org/tutorials/load_data/tfrecord
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from nasopt.spaces.tables.importing.content import MalformedError

__all__ = ["MAX_RECORD", "crc32c", "masked", "records"]

POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed."""

MASK = 0xA282EAD8
MAX_RECORD = 1 << 16
"""Bytes; a row of NAS-Bench-101 has less than 2,000."""

BATCH = 1024
"""Records whose checksums are computed together."""


def _table() -> np.ndarray:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> 1) ^ np.uint32(POLYNOMIAL), values >> 1)
    return values


TABLE = _table()


def crc32c(messages: list[bytes]) -> np.ndarray:
    """The CRC-32C of each message, uint32 ``[n]``, byte by byte but for all messages at once.

    The checksum starts from ones, which is the same as to start from zero with the first four bytes inverted; and from zero, zeros in
    front change nothing: so messages of any length (from four bytes on) are aligned at their ends.

    Raises:
        MalformedError: for a message of fewer than four bytes.
    """
    width = max(map(len, messages), default=0)
    if min(map(len, messages), default=4) < 4:
        raise MalformedError("a record of fewer than four bytes")
    aligned = np.zeros((width, len(messages)), np.uint8)
    for column, message in enumerate(messages):
        aligned[width - len(message) :, column] = np.frombuffer(message, np.uint8)
        aligned[width - len(message) : width - len(message) + 4, column] ^= 0xFF
    states = np.zeros(len(messages), np.uint32)
    for row in aligned:
        states = TABLE[(states ^ row) & 0xFF] ^ (states >> 8)
    return ~states


def masked(checksums: np.ndarray) -> np.ndarray:
    """As TFRecord stores them: rotated right by 15 bits, plus a constant."""
    return ((checksums >> 15) | (checksums << 17)) + np.uint32(MASK)


def records(file: BinaryIO) -> Iterator[bytes]:
    """The data of each record, in the order of the file, which is read as it goes.

    Raises:
        MalformedError: for a record whose checksum is another, that is cut off, or of more than ``MAX_RECORD`` bytes.
    """
    offset = 0
    ended = False
    while not ended:
        start = offset
        lengths: list[bytes] = []
        messages: list[bytes] = []
        length_sums: list[int] = []
        message_sums: list[int] = []
        while len(messages) < BATCH:
            head = file.read(12)
            if not head:
                ended = True
                break
            if len(head) < 12:
                raise MalformedError(f"the record at byte {offset} is cut off")
            length, length_sum = struct.unpack("<QI", head)
            if length > MAX_RECORD:
                raise MalformedError(f"no record at byte {offset}: a length of {length} bytes")
            body = file.read(length + 4)
            if len(body) < length + 4:
                raise MalformedError(f"the record at byte {offset} is cut off")
            lengths.append(head[:8])
            length_sums.append(length_sum)
            messages.append(body[:length])
            message_sums.append(struct.unpack("<I", body[length:])[0])
            offset += length + 16
        for texts, sums in ((lengths, length_sums), (messages, message_sums)):
            if not np.array_equal(masked(crc32c(texts)), np.array(sums, np.uint32)):
                raise MalformedError(f"the checksum of a record between byte {start} and {offset} is another")
        yield from messages
