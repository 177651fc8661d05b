"""Options are declared once, in a frozen dataclass; this turns a mapping or `key=value` words into one, or says what is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from bdh_reason.errors import UserError, unknown

C = TypeVar("C")


def configure(cls: type[C], options: Mapping[str, Any], where: str) -> C:
    """Builds the dataclass `cls`, whose fields all have defaults, from `options`: lists become tuples, integers floats where a float is declared.

    Raises UserError for an unknown key (naming the nearest one) and for a value of another type than the default's.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in options:
        if key not in defaults:
            raise unknown("key", key, defaults, where)
    return cls(**{key: _settle(key, value, defaults[key], where) for key, value in options.items()})


def _settle(key: str, value: Any, default: Any, where: str) -> Any:
    """The value in the type of its default (a default of None takes anything); a boolean is never a number."""
    wanted = (list, tuple) if isinstance(default, tuple) else (int, float) if isinstance(default, float) else type(default)
    if default is not None and (not isinstance(value, wanted) or isinstance(value, bool) != isinstance(default, bool)):
        raise UserError(f"{key} = {value!r} in {where}", f"a value like {default!r}")
    if isinstance(default, tuple):
        return tuple(_settle(key, item, default[0], where) for item in value) if default else tuple(value)
    return tuple(value) if isinstance(value, list) else float(value) if isinstance(default, float) else value


def content(config: Any) -> dict[str, Any]:
    """Every option of a configuration as JSON will give it back, defaults too: lists for tuples.

    A field with metadata `later` was added after data had been built, and is left out at its default: those data sets keep their hash.
    """
    later = {field.name for field in dataclasses.fields(config) if field.metadata.get("later") and getattr(config, field.name) == field.default}
    return {key: value for key, value in json.loads(json.dumps(dataclasses.asdict(config))).items() if key not in later}


def words(pairs: Iterable[str]) -> dict[str, Any]:
    """`["size=100", "model.d=64"]` as a nested mapping; the values are read as YAML. Raises UserError for what is no pair."""
    tree: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        *parents, leaf = path.split(".")
        if not equals or not all((*parents, leaf)):
            raise UserError(f"{pair!r}", "key=value, e.g. batch=64 or model.d=64")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
            if not isinstance(branch, dict):
                raise UserError(f"{pair!r}: {parent} already has the value {branch!r}", "one of the two")
        branch[leaf] = read_yaml(text, repr(pair))
    return tree


def read_yaml(text: str, where: str) -> Any:
    """YAML without objects, in which 1e-3 is a number as YAML 1.2 has it. Raises UserError naming `where`, for a key that is there twice with its line."""
    import yaml

    class Loader(yaml.SafeLoader):
        """SafeLoader knows the floats of YAML 1.1 only, which need a dot and a signed exponent."""

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789"))
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        _once(loader, root, where, set())
        return loader.construct_document(root) if root else None
    except (yaml.YAMLError, ValueError) as error:  # the latter of a date that there is not
        raise UserError(f"{where} is not YAML: {' '.join(str(error).split())}") from error


def _once(loader: Any, node: Any, where: str, seen: set[int]) -> None:
    """Raises UserError for a mapping in which a key stands twice: the first entry would be lost without a word."""
    import yaml

    if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
        return
    seen.add(id(node))
    keys: list[Any] = []
    for child in node.value:
        inner = [child]
        if isinstance(node, yaml.MappingNode):
            name, inner = child[0], list(child)
            key = loader.construct_object(name, deep=True) if name.tag in loader.yaml_constructors else None  # none of what merges, <<
            if key is not None and key in keys:
                raise UserError(f"the key {key!r} twice in {where}, line {name.start_mark.line + 1}", "every key once", "one of them would be lost: remove it")
            keys.append(key)
        for one in inner:
            _once(loader, one, where, seen)


def read_text(path: Path, kind: str) -> str:
    """The text of a file that somebody wrote, `kind` as in "a recipe in YAML". Raises UserError where it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8: byte {error.start}", kind) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", kind) from error


def line_of(text: str, keys: Iterable[str]) -> int:
    """The line of a YAML text, from 1, on which the entry that these keys lead to begins, or the last of them that is there. A key is known as it stands
    there and as it was read: 5e-4 is 0.0005 too.
    """
    import yaml

    node, line = yaml.compose(text, yaml.SafeLoader), 1
    for key in keys:
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        named = [(_names(child[0]), *child) if isinstance(child, tuple) else ([str(place)], child, child) for place, child in enumerate(children)]
        found = next(((mark, inside) for names, mark, inside in named if key in names), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return int(line)


def _names(key: Any) -> list[Any]:
    """What a key of YAML may be called."""
    return [key.value, str(read_yaml(key.value, "a key"))] if isinstance(key.value, str) and key.style is None else [key.value]
