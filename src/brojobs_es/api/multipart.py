"""The body of an upload: one file in the part `file` of a form, parsed as it arrives, with a name that harms nobody."""

from __future__ import annotations

import re
import unicodedata
from typing import ClassVar, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

OVERHEAD_BYTES: Final = 64 * 1024
"""What a body may hold besides the file: boundaries, headers, a preamble."""
MAX_NAME_CHARS: Final = 255
FALLBACK_MEDIA_TYPE: Final = "application/octet-stream"

_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")  # RFC 2046, 5.1.1
_MEDIA_TYPE: Final = re.compile(rb"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_INVISIBLE: Final = frozenset({"Cc", "Cs", "Co", "Zl", "Zp"})
_DIRECTION_MARKS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


class BadUpload(Exception):
    """The request is not one file in the part `file`; `message` says why, for the person who sent it."""

    code: ClassVar[str] = "invalid_request"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class FileTooLarge(Exception):
    """The file is larger than `limit` bytes; noticed as it arrives, not after."""

    code: ClassVar[str] = "file_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"larger than {limit} bytes")
        self.limit = limit


class Upload:
    """What the parser has understood of the body so far: `size` bytes of the file, those in `gathered` not yet taken."""

    def __init__(self, boundary: bytes, max_bytes: int) -> None:
        self.gathered = bytearray()
        self.size = 0
        self._max_bytes = max_bytes
        self._received = 0
        self._parts = 0
        self._field = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name: str | None = None
        self._media_type = FALLBACK_MEDIA_TYPE
        self._complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Parse the next bytes of the body."""
        self._received += len(chunk)
        if self._received > self._max_bytes + OVERHEAD_BYTES:
            raise FileTooLarge(self._max_bytes)
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadUpload("the body is not well-formed multipart/form-data") from error

    def take(self) -> bytes:
        """The bytes of the file that were not taken yet."""
        block = bytes(self.gathered)
        self.gathered.clear()
        return block

    def finish(self) -> tuple[str, str]:
        """Name and media type, once the body is over. Raises BadUpload if it was no whole upload of one file."""
        if not self._complete:
            raise BadUpload("the body ends in the middle")
        if self._name is None:
            raise BadUpload("there is no part named file")
        if self.size == 0:
            raise BadUpload("the file is empty")
        return self._name, self._media_type

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise BadUpload("there is more than one part; a request takes one file")
        self._headers.clear()

    def _header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        # Field names and values come as latin-1 from the parser of headers, names are UTF-8 on the wire.
        disposition, options = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        if disposition != b"form-data" or options.get(b"name") != b"file":
            raise BadUpload("there is no part named file")
        if b"filename" not in options:
            raise BadUpload("the part named file has no file name")
        if self._headers.get(b"content-transfer-encoding", b"binary").lower() not in {b"binary", b"7bit", b"8bit"}:
            raise BadUpload("the part named file is encoded; send its bytes as they are")
        self._name = clean_name(options[b"filename"])
        self._media_type = clean_media_type(self._headers.get(b"content-type"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.size += end - start
        if self.size > self._max_bytes:
            raise FileTooLarge(self._max_bytes)
        self.gathered += memoryview(data)[start:end]

    def _end(self) -> None:
        self._complete = True


def boundary_of(content_type: str | None) -> bytes:
    """The boundary that the content type of a request names; raises BadUpload."""
    kind, options = parse_options_header((content_type or "").encode("latin-1", "replace").decode("latin-1"))
    if kind != b"multipart/form-data":
        raise BadUpload("the content type is not multipart/form-data")
    boundary = options.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise BadUpload("the content type has no usable boundary")
    return boundary


def clean_name(raw: bytes) -> str:
    """A file name as people may see it: no path, no invisible or direction-changing characters, 1 to 255 characters.

    Raises BadUpload for a name that is no UTF-8 or holds a null character: those are attacks, not accidents.
    """
    try:
        text = unicodedata.normalize("NFC", raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadUpload("the file name is not UTF-8") from error
    if "\x00" in text:
        raise BadUpload("the file name holds a null character")
    text = text.replace("\\", "/").rpartition("/")[2]
    text = "".join(c for c in text if c not in _DIRECTION_MARKS and unicodedata.category(c) not in _INVISIBLE).strip()
    if text.strip(".") == "":
        return "file"
    if len(text) > MAX_NAME_CHARS:
        stem, dot, ending = text.rpartition(".")
        tail = dot + ending if stem and len(ending) <= 16 else ""
        text = text[: MAX_NAME_CHARS - len(tail)] + tail
    return text


def clean_media_type(raw: bytes | None) -> str:
    """The media type without parameters in lower case, or `application/octet-stream` for what is none."""
    kind = (raw or b"").partition(b";")[0].strip(b" \t").lower()
    return kind.decode("ascii") if _MEDIA_TYPE.fullmatch(kind) else FALLBACK_MEDIA_TYPE
