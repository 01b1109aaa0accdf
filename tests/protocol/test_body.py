"""`data` as query and body: what a view finds, read by Django's own parsers."""

from __future__ import annotations

import base64
import json
from io import BytesIO

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.support import json_values, one, request
from wsrequest.errors import InvalidField
from wsrequest.protocol.body import Payload, charset_of, is_json_type, parameter, payload
from wsrequest.protocol.codec import Limits

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
#: A form's values as JSON, and as the strings that the view finds.
form_values = st.dictionaries(texts, texts | st.lists(texts, min_size=1, max_size=3), max_size=4)


def made(data, content_type=None, **fields) -> Payload:
    headers = {"content-type": content_type} if content_type is not None else None
    return payload(request(**{"method": "POST", "data": data, "headers": headers, **fields}))


def refused(data, content_type=None, **fields) -> InvalidField:
    with pytest.raises(InvalidField) as refusal:
        made(data, content_type, id=5, **fields)
    assert refusal.value.id == 5
    return refusal.value


def as_django_reads_it(found: Payload) -> WSGIRequest:
    return WSGIRequest(
        {
            "REQUEST_METHOD": "POST",
            "CONTENT_TYPE": found.content_type,
            "CONTENT_LENGTH": str(len(found.body)),
            "wsgi.input": BytesIO(found.body),
        }
    )


def as_lists(values) -> dict[str, list[str]]:
    return {key: value if isinstance(value, list) else [value] for key, value in values.items()}


# --- nothing, JSON, queries ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_without_data_there_is_no_body(method):
    assert payload(request(method=method)) == Payload()
    with_type = request(method=method, headers={"content-type": "text/plain"})
    assert payload(with_type) == Payload("", None, "text/plain")


@given(json_values)
def test_data_is_a_json_body_by_default(data):
    found = made(data)
    assert (found.query, found.content_type) == ("", "application/json")
    assert json.loads(found.body) == data


def test_null_is_a_body_where_there_can_be_one():
    assert made(None) == Payload("", b"null", "application/json")
    for method in ("GET", "HEAD", "OPTIONS"):
        assert made(None, method=method) == Payload()


@given(form_values, st.sampled_from(["GET", "head", "Options"]))
def test_an_object_is_the_query_of_a_get(values, method):
    found = made(values, method=method)
    assert (found.body, found.content_type) == (None, None)
    assert dict(QueryDict(found.query).lists()) == as_lists(values)


@pytest.mark.parametrize("data", ["text", ["a"], 5, True])
def test_anything_else_under_get_is_a_body(data):
    assert made(data, method="GET") == Payload("", json.dumps(data).encode(), "application/json")


def test_numbers_and_booleans_stand_in_a_query_as_they_stand_in_the_message():
    data = '{"a":1.50,"b":[true,false,null],"c":1e400,"d":-0,"e":%s,"f":null,"g":[]}' % ("9" * 5000)
    found = payload(one(f'{{"url":"/","data":{data}}}'))
    assert found.query == f"a=1.50&b=true&b=false&c=1e400&d=-0&e={'9' * 5000}"


@pytest.mark.parametrize("value", [{"b": 1}, [[1]], [{}]])
@pytest.mark.parametrize("form", [None, FORM])
def test_a_query_or_form_is_flat(value, form):
    method = "POST" if form else "GET"
    error = refused({"a": value}, form, method=method)
    assert error.field == "data"


def test_half_an_emoji_can_not_stand_in_a_query():
    with pytest.raises(InvalidField):
        payload(one('{"url":"/","data":{"a":"\\ud83d"}}'))
    with pytest.raises(InvalidField):
        payload(one('{"url":"/","data":{"\\ud83d":"a"}}'))


def test_in_a_json_body_it_can():
    found = payload(one('{"url":"/","method":"POST","data":{"a":"\\ud83d"}}'))
    assert json.loads(found.body) == {"a": "\ud83d"}


def test_a_bottomless_form_is_refused():
    deep = one(
        f'{{"url":"/","id":1,"data":{{"a":{"[" * 900}{"]" * 900}}}}}', Limits(max_depth=None)
    )
    deep.data = type(deep.data)(bytes(deep.data).replace(b"[", b"[" * 100))
    with pytest.raises(InvalidField, match="too deep"):
        payload(deep)


# --- content types ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", "application/a+json"]
)
@pytest.mark.parametrize("data", ["text", {"a": "ü"}, [1], None, 1.5])
def test_under_a_json_type_data_is_json_a_string_too(content_type, data):
    found = made(data, content_type)
    assert json.loads(found.body) == data
    assert found.content_type == content_type


def test_json_in_another_charset():
    found = payload(
        one(
            '{"url":"/","method":"PUT","data":"ü",'
            '"headers":{"content-type":"application/json;charset=latin-1"}}'
        )
    )
    assert found.body == b'"\xfc"'
    sent = (
        '{"url":"/","method":"PUT","data":"€","headers":{"content-type":"a/b+json;charset=ascii"}}'
    )
    with pytest.raises(InvalidField, match="can't be encoded"):
        payload(one(sent))


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", FORM, MULTIPART, "x", ""]
)
@given(text=texts)
def test_under_another_type_a_string_is_sent_as_it_is(content_type, text):
    assert made(text, content_type) == Payload("", text.encode(), content_type)


@pytest.mark.parametrize("data", [{}, [], 1, None, True, 1.5])
def test_and_anything_but_a_string_is_refused(data):
    assert str(refused(data, "text/plain")).endswith("it is a string")


@pytest.mark.parametrize("content_type", [FORM, MULTIPART])
@pytest.mark.parametrize("data", [[], 1, None, True])
def test_a_form_is_a_string_or_an_object(content_type, data):
    assert str(refused(data, content_type)).endswith("it is a string or an object")


@pytest.mark.parametrize("charset", ["latin-1", '"ISO-8859-1"', "utf-16", "cp1252", "UTF8"])
def test_text_goes_in_the_charset_of_its_type(charset):
    found = made("ü", f"text/plain; Charset={charset}")
    assert found.body == "ü".encode(charset.strip('"'))


@pytest.mark.parametrize(
    "charset",
    [
        "klingon",
        "idna",
        "punycode",
        "undefined",
        "unicode_escape",
        "utf-7",
        "rot13",
        "zlib",
        "é",
        "x" * 300,
    ],
)
def test_what_is_no_charset_is_refused_at_once(charset):
    """Some of Python's codecs take a time that grows with the square of the text."""
    error = refused("ü" * 100_000, f"text/plain; charset={charset}")
    assert error.field == "headers"


def test_text_that_its_charset_has_not():
    assert refused("€", "text/plain; charset=latin-1").field == "data"


# --- encodings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "text/plain", FORM, MULTIPART, "image/png"]
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@given(body=st.binary(max_size=40))
def test_base64_is_the_body_whatever_the_type(content_type, method, body):
    text = base64.b64encode(body).decode()
    found = made(text, content_type, method=method, encoding="base64")
    assert found == Payload("", body, content_type)


@pytest.mark.parametrize("text", ["a", "a===", "YQ", "Y Q==", "-_8=", "ü", "YQ==\n"])
def test_what_is_not_base64_is_refused(text):
    assert str(refused(text, encoding="base64")) == "Invalid data: is not base64"


@given(texts)
def test_text_is_the_body_whatever_the_type(text):
    for content_type in ("application/json", FORM, None):
        found = made(text, content_type, encoding="text")
        assert found == Payload("", text.encode(), content_type)


@pytest.mark.parametrize("encoding", ["base64", "text"])
@pytest.mark.parametrize("data", [{}, [], 1234, None, True])
def test_an_encoding_is_for_strings(encoding, data):
    assert refused(data, encoding=encoding).field == "data"


def test_half_an_emoji_is_no_text_and_no_base64():
    for encoding in ("text", "base64"):
        message = one(f'{{"url":"/","data":"\\ud83d","encoding":"{encoding}"}}')
        with pytest.raises(InvalidField):
            payload(message)


# --- forms, read back by Django -----------------------------------------------------------------------


@given(form_values)
def test_a_form_reads_back(values):
    found = made(values, FORM)
    assert found.content_type == FORM
    assert dict(as_django_reads_it(found).POST.lists()) == as_lists(values)


#: Browsers write quotes and line ends of a name as %22, %0D and %0A, which Django leaves so; of backslashes and
#: of space around a name Django's parser makes what it likes.
names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1
).filter(lambda name: not set(name) & set('"\\') and name == name.strip())
boundaries = st.sampled_from(
    [
        "",
        "; boundary=abc",
        '; boundary="a b:c"',
        "; Boundary=ABC; charset=utf-8",
        "; boundary=" + "x" * 70,
    ]
)


@given(
    values=st.dictionaries(names, texts | st.lists(texts, min_size=1, max_size=3), max_size=3),
    boundary=boundaries,
)
def test_multipart_reads_back(values, boundary):
    found = made(values, f"multipart/form-data{boundary}")
    assert dict(as_django_reads_it(found).POST.lists()) == as_lists(values)


@given(
    name=names,
    files=st.lists(
        st.tuples(
            st.text("abcüß .-_;=", min_size=1).map(lambda name: f"a{name}b"), st.binary(max_size=50)
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_files_read_back(name, files):
    sent = [
        {
            "filename": filename,
            "content_type": "image/png",
            "content": base64.b64encode(content).decode(),
        }
        for filename, content in files
    ]
    found = as_django_reads_it(made({name: sent, "and": "text"}, MULTIPART))
    uploads = found.FILES.getlist(name)
    assert [(upload.name, upload.read()) for upload in uploads] == files
    assert {upload.content_type for upload in uploads} == {"image/png"}
    assert found.POST.dict() == {"and": "text"}
    found.close()


def test_names_are_escaped_as_browsers_do():
    found = made({'a"b\r\nc': "d"}, "multipart/form-data; boundary=x")
    assert found.body == (
        b'--x\r\nContent-Disposition: form-data; name="a%22b%0D%0Ac"\r\n\r\nd\r\n--x--\r\n'
    )


def test_values_of_multipart_as_in_any_form():
    found = made({"a": True, "b": [1.5, None], "c": None}, MULTIPART)
    assert dict(as_django_reads_it(found).POST.lists()) == {"a": ["true"], "b": ["1.5"]}


def test_an_empty_multipart_form_is_a_body():
    found = made({}, "multipart/form-data; boundary=x")
    assert found.body == b"--x--\r\n"


def test_multipart_in_another_charset():
    found = made({"a": "ü"}, "multipart/form-data; charset=latin-1")
    assert as_django_reads_it(found).POST["a"] == "ü"


@pytest.mark.parametrize("boundary", ['""', "a\tb", "ü", "a@b", "x" * 71, "a\\b"])
def test_a_boundary_that_django_would_not_find_is_refused(boundary):
    assert refused({"a": "b"}, f"{MULTIPART}; boundary={boundary}").field == "headers"


@pytest.mark.parametrize(
    "file",
    [
        {},
        {"filename": "a"},
        {"content": ""},
        {"filename": 1, "content": ""},
        {"filename": "a", "content": 5},
        {"filename": "a", "content": "", "content_type": None},
        {"filename": "a", "content": "YQ"},
        {"filename": "a", "content": "ü"},
        {"filename": "a", "content": "", "content_type": "a\r\nX: y"},
        {"filename": "a", "content": "", "content_type": "a\0"},
    ],
)
def test_a_file_that_is_none_is_refused(file):
    assert refused({"a": file}, MULTIPART).field == "data"
    assert refused({"a": ["b", file]}, MULTIPART).field == "data"


def test_a_file_without_a_type_is_bytes():
    found = made({"a": {"filename": "f", "content": "YQ=="}}, MULTIPART)
    [upload] = as_django_reads_it(found).FILES.values()
    assert (upload.content_type, upload.read()) == ("application/octet-stream", b"a")


# --- content types as such ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        (" Application/Json ;charset=x", True),
        ("application/vnd.api+json", True),
        ("text/json", False),
        ("application/jsonp", False),
        ("text/plain; a=application/json", False),
        ("", False),
    ],
)
def test_json_types(content_type, expected):
    assert is_json_type(content_type) is expected


def test_parameters():
    assert parameter('a/b; X = "Y z" ;charset=UTF-8', "x") == "Y z"
    assert parameter("a/b; c=d", "charset") is None
    assert parameter("a/b;charset", "charset") == ""


def test_charsets():
    assert charset_of("text/html") == charset_of("text/html; charset=UTF-8") == "utf-8"
    assert charset_of("text/html; charset=") == "utf-8"
    assert charset_of("text/html; charset=latin1") == "iso8859-1"
    assert charset_of("text/html; charset=a\0b") is None
