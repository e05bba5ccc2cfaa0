"""Reading values from pickles without unpickling them, which could run any code.

Only the opcodes of plain values are interpreted. Calls in the file become records of what would have been called.
"""

import pickletools
from typing import Any, NamedTuple


class Call:
    """A call in a pickle, which is never made."""

    def __init__(self, name: str, arguments: Any):
        self.name, self.arguments, self.state = name, arguments, None


class Name(NamedTuple):
    """The name of a function or class in a pickle, which is never imported."""

    name: str


class _Mark:
    """The start of a collection on the stack."""


_CONSTANTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}


def literal(content: bytes) -> Any:
    """The value of a pickle of dictionaries, lists, tuples, strings, bytes and numbers; ValueError for anything else.

    Functions and classes become `Name`s, and calls of them `Call`s.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def pop_to_mark() -> list[Any]:
        mark = max(position for position, one in enumerate(stack) if isinstance(one, _Mark))
        items = stack[mark + 1 :]
        del stack[mark:]
        return items

    argument: Any
    for opcode, argument, _ in pickletools.genops(content):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                stack.append(_Mark())
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[opcode.name]())
            case "DICT":
                items = pop_to_mark()
                stack.append(dict(zip(items[::2], items[1::2], strict=True)))
            case "LIST":
                stack.append(pop_to_mark())
            case "TUPLE":
                stack.append(tuple(pop_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(opcode.name[-1])
                stack[-size:] = [tuple(stack[-size:])]
            case "APPEND":
                item = stack.pop()
                stack[-1].append(item)
            case "APPENDS":
                items = pop_to_mark()
                stack[-1].extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                stack[-1][key] = value
            case "SETITEMS":
                items = pop_to_mark()
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(Name(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(Name(f"{module}.{name}"))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(Call(function.name, arguments))
            case "BUILD":
                state = stack.pop()
                stack[-1].state = state
            case name if name in _CONSTANTS:
                stack.append(bytes(argument) if isinstance(argument, bytearray) else argument)
            case name:
                raise ValueError(f"it has the pickle opcode {name}, which plain values do not need")
    raise ValueError("it ends too early")
