"""The names of what may be written, and how; importable where the project is not installed."""

from __future__ import annotations

#: Operations on projects and all that is theirs.
ON_ROWS = (
    "create_project",
    "create_task",
    "create_bug",
    "create_comment",
    "create_notice",
    "create_again",
    "save",
    "save_fields",
    "save_bug",
    "get_or_create",
    "bulk_create",
    "bulk_create_or_update",
    "bulk_update",
    "update",
    "update_by_expression",
    "update_by_relation",
    "move_task",
    "delete_one",
    "delete_many",
    "delete_fast",
    "delete_project",
    "delete_team",
    "delete_tag",
    "tags_add",
    "tags_remove",
    "tags_set",
    "tags_clear",
    "tags_of_other_side",
    "write_on_commit",
)

#: Operations in SQL of its own.
IN_SQL = (
    "raw_update",
    "raw_update_all",
    "raw_executemany",
    "raw_insert_select",
    "raw_delete",
    "raw_with",
    "raw_key",
    "raw_odd",
    "raw_returning",
)

#: Operations on who may see what.
ON_PEOPLE = (
    "member_add",
    "member_remove",
    "member_role",
    "members_set",
    "watcher_add",
    "watcher_remove",
    "watchers_set",
    "own_other",
    "team_other",
    "publicity",
    "permission_add",
    "permission_remove",
    "group_join",
    "group_leave",
    "group_permission",
    "group_delete",
    "deactivate",
    "activate",
    "stranger",
    "password",
)

#: How the operations of one step are carried out.
HOW = (
    "each",  # each by itself
    "together",  # in one transaction
    "rolled back",  # the same, which then fails
    "savepoints",  # every other one is within a savepoint that is rolled back
    "nested",  # the same, each savepoint within the former one
    "in thread",  # in one transaction of another thread
    "beside",  # while another thread's transaction is open
    "manual",  # without autocommit
)

#: People who are there from the beginning, and stay.
PEOPLE = ("ann", "bob", "cat", "dan")
