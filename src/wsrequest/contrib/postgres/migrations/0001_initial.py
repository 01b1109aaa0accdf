"""Topics, their events, what a transaction is about to publish, and who is on a topic.

All tables are UNLOGGED: a publish outside of a transaction then waits for no disk. They outlive a restart of the
server. After a crash, and on a standby that takes over, they are empty: topics begin new epochs, and subscribers are
told.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

TABLES = """
CREATE UNLOGGED TABLE wsrequest_topic (
    channel text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    epoch text COLLATE "C" NOT NULL DEFAULT left(md5(gen_random_uuid()::text), 16),
    newest bigint NOT NULL DEFAULT 0,
    oldest bigint NOT NULL DEFAULT 1,  -- that is kept; newest + 1 where none is
    expires timestamptz NOT NULL DEFAULT clock_timestamp(),  -- the history as a whole
    used timestamptz NOT NULL DEFAULT clock_timestamp(),
    due timestamptz NOT NULL DEFAULT clock_timestamp(),  -- to be looked at by wsrequest_sweep()
    PRIMARY KEY (channel, key)
) WITH (fillfactor = 50);  -- a publish updates no indexed column: the new version fits beside the old one
CREATE INDEX wsrequest_topic_due ON wsrequest_topic (due);

CREATE UNLOGGED TABLE wsrequest_event (
    epoch text COLLATE "C" NOT NULL,
    "offset" bigint NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (epoch, "offset")
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- Rows are gone when their transaction commits: no other one ever sees them.
CREATE UNLOGGED TABLE wsrequest_outbox (
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    channel text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    payload bytea NOT NULL,
    size bigint NOT NULL,
    ttl double precision NOT NULL,
    PRIMARY KEY (tx, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE UNLOGGED TABLE wsrequest_member (
    channel text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    member text COLLATE "C" NOT NULL,
    data bytea NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (channel, key, member)
) WITH (fillfactor = 70);
"""

# NOTIFY takes less than 8000 bytes of text. A part is 5400 bytes, 7296 in base64; what stands before it is a few
# hundred, as keys are short. The parts of one payload arrive one after the other: a commit queues all of its
# notifications together. They are numbered, as a transaction's equal notifications would become one.
TELL = """
CREATE FUNCTION wsrequest_tell(channel text, head text, payload bytea) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    part constant integer := 5400;
    parts constant integer := greatest(1, (length(payload) + part - 1) / part);
BEGIN
    FOR i IN 1 .. parts LOOP
        PERFORM pg_notify(channel, concat(
            i, '/', parts, ' ', head, ' ', encode(substr(payload, (i - 1) * part + 1, part), 'base64')
        ));
    END LOOP;
END $$;
"""

# The topic's row stays locked until the end of the transaction. So offsets are given in the order of commits; and the
# notifications, which are queued in that order too, arrive in the order of offsets.
PUBLISH = """
CREATE FUNCTION wsrequest_publish(
    to_channel text, to_key text, payloads bytea[], size bigint, ttl double precision,
    OUT in_epoch text, OUT last bigint
) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    topic wsrequest_topic;
    kept_from bigint;
    moment constant timestamptz := clock_timestamp();
BEGIN
    LOOP
        SELECT * INTO topic FROM wsrequest_topic
            WHERE channel = to_channel AND key = to_key FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO wsrequest_topic (channel, key) VALUES (to_channel, to_key) ON CONFLICT DO NOTHING;
    END LOOP;
    in_epoch := topic.epoch;
    last := topic.newest + cardinality(payloads);
    IF topic.expires <= moment THEN
        kept_from := topic.newest + 1;
    ELSE
        kept_from := topic.oldest;
    END IF;
    kept_from := greatest(kept_from, last - size + 1);
    IF kept_from > topic.oldest THEN
        DELETE FROM wsrequest_event
            WHERE epoch = topic.epoch AND "offset" >= topic.oldest AND "offset" < kept_from;
    END IF;
    IF kept_from <= last THEN
        INSERT INTO wsrequest_event SELECT topic.epoch, topic.newest + n, payload
            FROM unnest(payloads) WITH ORDINALITY AS each (payload, n) WHERE topic.newest + n >= kept_from;
    END IF;
    UPDATE wsrequest_topic
        SET newest = last, oldest = kept_from, used = moment, expires = moment + make_interval(secs => ttl),
            due = least(topic.due, moment + make_interval(secs => ttl))
        WHERE channel = to_channel AND key = to_key;
    FOR n IN 1 .. cardinality(payloads) LOOP
        PERFORM wsrequest_tell(
            to_channel, concat_ws(' ', 'event', to_key, in_epoch, topic.newest + n), payloads[n]
        );
    END LOOP;
END $$;
"""

# It runs for each row, and the first one does it for all: topic by topic in one order for everybody, so that two
# transactions that publish to the same topics never wait for each other.
COMMIT = """
CREATE FUNCTION wsrequest_commit() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    topic record;
BEGIN
    IF NOT EXISTS (SELECT FROM wsrequest_outbox WHERE tx = NEW.tx AND id = NEW.id) THEN
        RETURN NULL;
    END IF;
    FOR topic IN
        SELECT channel, key, array_agg(payload ORDER BY id) AS payloads,
            (array_agg(size ORDER BY id DESC))[1] AS size, (array_agg(ttl ORDER BY id DESC))[1] AS ttl
        FROM wsrequest_outbox WHERE tx = NEW.tx GROUP BY channel, key ORDER BY channel, key
    LOOP
        PERFORM wsrequest_publish(topic.channel, topic.key, topic.payloads, topic.size, topic.ttl);
    END LOOP;
    DELETE FROM wsrequest_outbox WHERE tx = NEW.tx;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER wsrequest_commit AFTER INSERT ON wsrequest_outbox
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wsrequest_commit();
"""

# Who asks for a topic begins it, and lets it be remembered.
TOPIC = """
CREATE FUNCTION wsrequest_position(
    of_channel text, of_key text, OUT in_epoch text, OUT last bigint
) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    SELECT epoch, newest INTO in_epoch, last FROM wsrequest_topic
        WHERE channel = of_channel AND key = of_key AND used > clock_timestamp() - interval '1 hour';
    IF NOT FOUND THEN
        INSERT INTO wsrequest_topic AS topic (channel, key) VALUES (of_channel, of_key)
            ON CONFLICT (channel, key) DO UPDATE SET used = clock_timestamp()
            RETURNING topic.epoch, topic.newest INTO in_epoch, last;
    END IF;
END $$;
"""

# A topic is due when its history may have expired, and then when nobody has used it for a day. What others are at
# is left to them.
SWEEP = """
CREATE FUNCTION wsrequest_sweep(most integer) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    topic wsrequest_topic;
    moment constant timestamptz := clock_timestamp();
    looked_at integer := 0;
BEGIN
    FOR topic IN
        SELECT * FROM wsrequest_topic WHERE due <= moment ORDER BY due LIMIT most FOR UPDATE SKIP LOCKED
    LOOP
        looked_at := looked_at + 1;
        IF topic.expires > moment THEN
            UPDATE wsrequest_topic SET due = topic.expires
                WHERE channel = topic.channel AND key = topic.key;
            CONTINUE;
        END IF;
        DELETE FROM wsrequest_event WHERE epoch = topic.epoch AND "offset" >= topic.oldest;
        IF topic.used > moment - interval '1 day' THEN
            UPDATE wsrequest_topic SET oldest = topic.newest + 1, due = topic.used + interval '1 day'
                WHERE channel = topic.channel AND key = topic.key;
        ELSE
            DELETE FROM wsrequest_topic WHERE channel = topic.channel AND key = topic.key;
        END IF;
    END LOOP;
    RETURN looked_at;
END $$;
"""

DROP = """
DROP TABLE wsrequest_outbox;
DROP FUNCTION wsrequest_commit(), wsrequest_sweep(integer), wsrequest_position(text, text),
    wsrequest_publish(text, text, bytea[], bigint, double precision), wsrequest_tell(text, text, bytea);
DROP TABLE wsrequest_member, wsrequest_event, wsrequest_topic;
"""


class RunPostgreSQL(migrations.RunSQL):
    """Does nothing on other databases, which a project may have beside its PostgreSQL."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, *states: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, *states)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, *states: Any
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            super().database_backwards(app_label, schema_editor, *states)


class Migration(migrations.Migration):
    """The first one."""

    initial = True
    operations = [RunPostgreSQL(TABLES + TELL + PUBLISH + COMMIT + TOPIC + SWEEP, DROP)]
