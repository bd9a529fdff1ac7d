r"""A Maildir as it lies: UIDs in ``dovecot-uidlist`` (or Courier's), keywords in ``dovecot-keywords``.

What is there is what the directories say. The list of UIDs is changed under Dovecot's own lock, and a file that is in
no list gets the next UID, in the order of names (delivery time first). A Maildir we may not write to has its list in
the control directory.

A look is needed when a directory or the list has another time than at the last one; or once more when the last look
was so close to the last change that another one may hide behind the same time (``_GRAIN``).

QUIRK: a file may be renamed by another program while we list: one that was in the list before and is not found is
looked for a second time before it counts as gone.

Standards: https://cr.yp.to/proto/maildir.html
Trust: the Maildir's owner, and every program of his.
Durability: content, name, list of UIDs, in this order. CRASH: a message without a UID in the list is new at the next
look; a name of a removed message in the list is struck off.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from penfold.formats import letters, uidlist
from penfold.formats.lines import lf
from penfold.formats.maildir import make_maildir, safe_host
from penfold.formats.replacing import content, replace
from penfold.formats.uidlist import UidList
from penfold.store.files.folder import Found, Means, New, Snapshot
from penfold.store.files.uidfile import UidFile

_TIME: Final = re.compile(r"\d{1,12}(?=\.)")
_WIRE: Final = re.compile(r",W=(\d{1,10})(?=[,:]|$)")
_GRAIN: Final = 1.1  # seconds: the coarsest times a file system keeps, and a little
_SHARED: Final = 4
_TMP: Final = "tmp"


class MaildirFolder:
    """One Maildir. ``control`` is where its list of UIDs lies: the Maildir itself if we may write there."""

    def __init__(self, means: Means, path: str, control: str, *, writable: bool = True) -> None:
        self.writable = writable
        self._means = means
        self._fs = means.fs
        self._path = path
        self._control = path if writable else control
        self._courier = not self._has(uidlist.DOVECOT) and self._has(uidlist.COURIER)
        name = uidlist.COURIER if self._courier else uidlist.DOVECOT
        self._uids = UidFile(means, f"{self._control}/{name}", courier=self._courier)
        self._names: dict[str, str] = {}  # base name -> ``cur/NAME``
        self._keywords: list[str] = []
        self._flags: dict[str, frozenset[str]] = {}
        self._stamp: tuple[float, ...] = ()
        self._looked = 0.0

    def make(self) -> None:
        """Make it."""
        make_maildir(self._fs, self._path)

    # -- looking

    def changed(self) -> bool:
        """Tell whether it may have changed."""
        stamp = self._times()
        return stamp != self._stamp or 0 < self._looked - stamp[0] < _GRAIN <= self._means.now() - stamp[0]

    def look(self, known: Mapping[str, object]) -> Snapshot:
        """List the directories, give UIDs to what has none."""
        stamp, now = self._times(), self._means.now()
        names = self._listed()
        if any(base not in names for base in self._names):
            names = self._listed() | names if self._times() != stamp else names
        self._read_keywords()
        found = self._uids.with_all(names, _by_time)
        self._names = names
        self._stamp, self._looked = (*stamp[:2], *self._times()[2:]), now
        messages = [self._found(base, uid, found, known) for base, uid in found.uids.items() if base in names]
        return Snapshot(found.uidvalidity, found.uidnext, [each for each in messages if each])

    def _times(self) -> tuple[float, ...]:
        """Give the newest time first, then what must be the same for nothing to have changed."""
        parts = [self._fs.stat(f"{self._path}/{part}").mtime for part in ("cur", "new")]
        return (max(parts), *parts, *self._uids.stamp(), *self._stat(f"{self._path}/{letters.DOVECOT}"))

    def _stat(self, path: str) -> tuple[float, ...]:
        try:
            facts = self._fs.stat(path)
        except FileNotFoundError:
            return (0.0, 0, 0)
        return (facts.mtime, facts.size, facts.inode)

    def _listed(self) -> dict[str, str]:
        """Map base names to names, ``new`` first: what moves to ``cur`` meanwhile is not missed."""
        found = {}
        for part in ("new", "cur"):
            for name in self._fs.names(f"{self._path}/{part}"):
                if not name.startswith("."):
                    found[name.partition(":")[0]] = f"{part}/{name}"
        return found

    def _found(self, base: str, uid: int, known: UidList, rows: Mapping[str, object]) -> Found | None:
        name = self._names[base]
        flags, recent = self._read_flags(base, name), name.startswith("new/")
        if base in rows:
            return Found(uid, base, flags, recent=recent)
        try:
            facts = self._fs.stat(f"{self._path}/{name}")
        except FileNotFoundError:
            return None
        wire = _WIRE.search(base)
        size = wire[1] if wire else known.fact(base, "W")
        return Found(
            uid,
            base,
            flags,
            facts.size,
            int(size) if size.isdecimal() else 0,
            int(facts.mtime // 1),
            recent,
            known.fact(base, "P"),
        )

    def _read_flags(self, base: str, name: str) -> frozenset[str]:
        info = name.partition(":2,")[2]
        if info not in self._flags:
            self._flags[info] = letters.read_info(info, self._keywords)
        more = self._courier_keywords.get(base) if self._courier else None
        return self._flags[info] | more if more else self._flags[info]

    # -- UIDs

    def adopt(self, uidvalidity: int, uidnext: int) -> None:
        """Begin a new list."""
        with self._uids.locked():
            found = UidList(uidvalidity, uidnext)
            for name in sorted(self._listed(), key=_by_time):
                found.give(name)
            self._uids.write(found)

    # -- keywords

    def _read_keywords(self) -> None:
        names = letters.parse(content(self._fs, f"{self._path}/{letters.DOVECOT}") or b"")
        if names != self._keywords:
            self._keywords, self._flags = names, {}
        if self._courier:
            text = content(self._fs, f"{self._path}/{letters.COURIER}") or b""
            self._courier_keywords = letters.parse_courier(text)

    _courier_keywords: Mapping[str, frozenset[str]] = {}

    def carries(self, flags: Iterable[str]) -> bool:
        """Tell whether there are letters for all."""
        return letters.enter(self._keywords, flags) is not None

    def _enter(self, flags: Iterable[str]) -> None:
        """Give letters to keywords that have none, as long as there are any. Under the lock of the list."""
        self._read_keywords()
        names = self._keywords
        for flag in sorted(set(flags)):
            names = letters.enter(names, (flag,)) or names
        if names != self._keywords:
            replace(self._fs, f"{self._path}/{letters.DOVECOT}", letters.octets(names))
            self._keywords, self._flags = names, {}

    # -- changing

    def append(self, batch: Sequence[New]) -> list[Found]:
        """Write all into ``tmp``, then rename them into the mailbox, then enter their UIDs."""
        with self._uids.locked():
            self._enter(flag for new in batch for flag in new.flags)
            found, known = self._entered()
            written: list[tuple[str, int]] = []
            targets: list[str] = []
            try:
                written.extend(self._write(new) for new in batch)
                self._sync(f"{_TMP}/{base}" for base, _ in written)
                self._rename(batch, written, targets)
                done = self._enter_uids(found, batch, written, targets)
                if known:
                    self._uids.add(found, [base for base, _ in written])
                else:
                    self._uids.write(found)
            except OSError:
                self._take_back([*targets, *(f"{_TMP}/{base}" for base, _ in written)])
                raise
        self._settle()
        return done

    def _entered(self) -> tuple[UidList, bool]:
        """Give the list with all in it that is there now: they come before what we append; and whether they were.

        PERF: where nothing has changed since the last look, nothing is listed.
        """
        known, found = not self.changed(), self._uids.read()
        if not known:
            self._names = self._listed()
        if found is None or not (known or all(name in found.uids for name in self._names)):
            known, found = False, self._uids.entered(self._names, _by_time)
        return found, known

    def _settle(self) -> None:
        """Take what we changed ourselves for seen; another's change at the same moment is found a little later."""
        self._stamp, self._looked = self._times(), self._means.now()

    def _write(self, new: New) -> tuple[str, int]:
        text = lf(new.octets)
        stem = f"{int(self._means.now())}.{new.unique}.{safe_host(self._means.host)}"
        base = f"{stem},S={len(text)},W={len(new.octets)}"
        path = f"{self._path}/{_TMP}/{base}"
        with contextlib.suppress(FileNotFoundError):
            self._fs.unlink(path)
        try:
            with contextlib.closing(self._fs.create(path)) as file:
                file.append([text])
                with contextlib.suppress(OSError):
                    os.utime(file.fileno(), (new.internal, new.internal))
        except OSError:
            self._take_back((f"{_TMP}/{base}",))
            raise
        return base, len(text)

    def _sync(self, names: Iterable[str]) -> None:
        paths = [f"{self._path}/{name}" for name in names]
        if len(paths) >= _SHARED:
            self._fs.sync_all(self._path)
            return
        for path in paths:
            with contextlib.closing(self._fs.open(path, write=True)) as file:
                file.datasync()

    def _rename(self, batch: Sequence[New], written: Sequence[tuple[str, int]], done: list[str]) -> None:
        """Give messages their names; ``done`` takes those that were given."""
        for new, (base, _) in zip(batch, written, strict=True):
            info = letters.write_info(new.flags, self._keywords)
            target = f"cur/{base}:2,{info}" if info else f"new/{base}"
            self._fs.rename(f"{self._path}/{_TMP}/{base}", f"{self._path}/{target}")
            done.append(target)
        for part in sorted({target[:3] for target in done}):
            self._fs.sync_directory(f"{self._path}/{part}")

    def _enter_uids(
        self, found: UidList, batch: Sequence[New], written: Sequence[tuple[str, int]], targets: Sequence[str]
    ) -> list[Found]:
        done = []
        for new, (base, stored), target in zip(batch, written, targets, strict=True):
            found.uidnext = max(new.uid, found.uidnext)
            uid = found.give(base)
            if new.uidl:
                found.facts[base] = f"P{new.uidl}"
            self._names[base] = target
            flags = self._read_flags(base, target)
            done.append(Found(uid, base, flags, stored, len(new.octets), new.internal, target[0] == "n", new.uidl))
        return done

    def _take_back(self, names: Iterable[str]) -> None:
        """Remove what was written, forget the UIDs it was to have."""
        for name in names:
            self._names.pop(name[4:].partition(":")[0], None)
            with contextlib.suppress(OSError):
                self._fs.unlink(f"{self._path}/{name}")
        self._uids.forget()

    def mark(self, flags: Sequence[tuple[str, frozenset[str]]]) -> list[bool]:
        """Rename each to the letters of its flags."""
        wanted = {flag for _, each in flags for flag in each}
        if letters.enter(self._keywords, wanted) != self._keywords:
            with self._uids.locked():
                self._enter(wanted)
        done = [self._mark(base, each) for base, each in flags]
        self._sync_names()
        return done

    def _sync_names(self) -> None:
        for part in ("cur", "new"):
            self._fs.sync_directory(f"{self._path}/{part}")
        self._settle()

    def _mark(self, base: str, flags: frozenset[str]) -> bool:
        def renamed(name: str) -> str:
            info = letters.write_info(flags, self._keywords, name.partition(":2,")[2])
            return f"cur/{base}:2,{info}"

        return self._attempt(base, lambda name: self._move(base, name, renamed(name)))

    def _move(self, base: str, name: str, target: str) -> None:
        if name != target:
            self._fs.rename(f"{self._path}/{name}", f"{self._path}/{target}")
            self._names[base] = target

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """Unlink files; the list is put in order when something is entered next."""
        done = [self._attempt(base, lambda name: self._fs.unlink(f"{self._path}/{name}")) for base in keys]
        self._sync_names()
        for base in keys:
            self._names.pop(base, None)
        return done

    def _attempt(self, base: str, action: "Action") -> bool:
        """Do it to a file; once more under its new name if another program has renamed it."""
        for _ in range(3):
            name = self._names.get(base)
            if name is None:
                return False
            try:
                action(name)
            except FileNotFoundError:
                self._names = self._listed()
            else:
                return True
        return False

    def read(self, key: str) -> bytes:
        """Read a file."""
        octets = b""

        def take(name: str) -> None:
            nonlocal octets
            octets = self._fs.read(f"{self._path}/{name}")

        if not self._attempt(key, take):
            raise FileNotFoundError(2, "No such message", key)
        return lf(octets).replace(b"\n", b"\r\n")

    def claim(self) -> None:
        """Move what is in ``new`` to ``cur``."""
        new = [base for base, name in self._names.items() if name.startswith("new/")]
        for base in new:
            self._attempt(base, lambda name, base=base: self._move(base, name, _current(name)))
        if new:
            self._sync_names()

    def _has(self, name: str) -> bool:
        return bool(any(self._stat(f"{self._control}/{name}")))


class Action(Protocol):
    """What is done to a file of a given name."""

    def __call__(self, name: str) -> None:
        """Do it. Raises OSError."""


def _current(name: str) -> str:
    return f"cur/{name[4:]}" if ":2," in name else f"cur/{name[4:]}:2,"


def _by_time(base: str) -> tuple[int, str]:
    found = _TIME.match(base)
    return (int(found[0]) if found else 0, base)
