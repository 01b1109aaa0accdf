"""What may be written of who may see what."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User

from tests.live.oracle.models import Membership, Project, Team
from tests.live.oracle.operations import Dice
from tests.live.oracle.plan import PEOPLE


def member_add(dice: Dice) -> None:
    if (team := dice.one(Team.objects.all())) is not None:
        Membership.objects.get_or_create(team=team, user=dice.person())


def member_remove(dice: Dice) -> None:
    if (membership := dice.one(Membership.objects.all())) is not None:
        membership.delete()


def member_role(dice: Dice) -> None:
    if (membership := dice.one(Membership.objects.all())) is not None:
        membership.role = f"role{dice.number()}"
        membership.save()


def members_set(dice: Dice) -> None:
    if (team := dice.one(Team.objects.all())) is not None:
        team.members.set(dice.some(User.objects.all()), through_defaults={"role": "set"})


def watcher_add(dice: Dice) -> None:
    if (project := dice.one(Project.objects.all())) is not None:
        project.watchers.add(dice.person())


def watcher_remove(dice: Dice) -> None:
    person = dice.person()
    if (project := dice.one(person.watched.all())) is not None:
        person.watched.remove(project)


def watchers_set(dice: Dice) -> None:
    if (project := dice.one(Project.objects.all())) is not None:
        project.watchers.set(dice.some(User.objects.all()))


def own_other(dice: Dice) -> None:
    if (project := dice.one(Project.objects.all())) is not None:
        Project.objects.filter(pk=project.pk).update(owner=dice.person(), text=dice.text())


def team_other(dice: Dice) -> None:
    if (project := dice.one(Project.objects.all())) is not None:
        project.team = dice.random.choice([None, dice.one(Team.objects.all())])
        project.save(update_fields=["team"])


def publicity(dice: Dice) -> None:
    if (project := dice.one(Project.objects.all())) is not None:
        project.public = not project.public
        project.save()


def _permission() -> Permission:
    return Permission.objects.get(codename="see_all")


def permission_add(dice: Dice) -> None:
    dice.person().user_permissions.add(_permission())


def permission_remove(dice: Dice) -> None:
    """Of one who has it, so that it is not rare."""
    if (person := dice.one(User.objects.filter(user_permissions=_permission()))) is not None:
        person.user_permissions.remove(_permission())


def group_join(dice: Dice) -> None:
    group, _ = Group.objects.get_or_create(name=f"group{dice.number()}")
    dice.person().groups.add(group)


def group_leave(dice: Dice) -> None:
    if (group := dice.one(Group.objects.all())) is not None:
        group.user_set.clear()


def group_permission(dice: Dice) -> None:
    if (group := dice.one(Group.objects.all())) is not None:
        group.permissions.set(dice.random.choice([[], [_permission()]]))


def group_delete(dice: Dice) -> None:
    if (group := dice.one(Group.objects.all())) is not None:
        group.delete()


def deactivate(dice: Dice) -> None:
    """One at a time, or nobody would be left."""
    activate(dice)
    User.objects.filter(pk=dice.person().pk).update(is_active=False)


def activate(dice: Dice) -> None:
    for person in User.objects.filter(is_active=False):
        person.is_active = True
        person.save()


def stranger(dice: Dice) -> None:
    """Somebody who can't log in comes, and the last one goes, with all that hangs on him."""
    User.objects.exclude(username__in=PEOPLE).delete()
    User.objects.create(username=dice.text())


def password(dice: Dice) -> None:
    """Whoever has logged in as this one is nobody by now. Not often, or all would be."""
    if dice.number():
        return
    person = User.objects.get(username=dice.random.choice(PEOPLE))
    person.password = dice.text()
    person.save(update_fields=["password"])
