"""What everybody is sent."""

from __future__ import annotations

import json

URL = "/news/"
PUBLISH = "/publish/"
EVENT = "news"

#: 200 bytes of JSON, spelled as `publish()` does.
DATA = json.dumps({"order": 42, "status": "paid", "note": "x" * 157})
SIZE = 200
if len(DATA) != SIZE:
    raise AssertionError(len(DATA))

HELLO = '{"control":"hello","data":{"connection":"bare","heartbeat":null,"limits":{}}}'
#: The answer to SUBSCRIBE, and what follows it: the same bytes whoever sends them.
SUBSCRIBED = (
    '{"id":%d,"status":200,"headers":{"content-type":"application/json"},"data":{"news":[]},'
    '"subscription":{"epoch":"bare","offset":%d,"rev":0}}'
)
HAPPENED = '{"id":1,"event":"news","data":' + DATA + ',"offset":%d}'
ANSWER = (
    '{"id":%d,"status":200,"headers":{"content-type":"application/json"},"data":{"published":%d}}'
)
