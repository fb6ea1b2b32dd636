"""The names that an exported library shows: what a C or C++ program may be made to see of a user's words."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .status import CUDA_CODES

_KEYWORDS = frozenset(
    (
        "auto break case char const continue default do double else enum extern float for goto if inline int long "
        "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
        "alignas alignof and and_eq asm bitand bitor bool catch class compl concept consteval constexpr constinit "
        "const_cast co_await co_return co_yield decltype delete dynamic_cast explicit export false friend mutable "
        "namespace new noexcept not not_eq nullptr operator or or_eq private protected public reinterpret_cast requires "
        "static_assert static_cast template this thread_local throw true try typeid typename typeof using virtual "
        "wchar_t xor xor_eq final override import module"
    ).split()
)

# of the C library: functions and types that every program may declare, and macros without arguments
_LIBRARY = frozenset(
    (
        "abort abs acos acosh asctime asin asinh atan atan2 atanh atexit atof atoi atol atoll bsearch calloc cbrt "
        "ceil clearerr clock close copysign cos cosh ctime difftime div dup environ erf erfc errno exit exp exp2 "
        "expm1 fabs fclose fdim feof ferror fflush fgetc fgetpos fgets floor fma fmax fmin fmod fopen fork fprintf "
        "fputc fputs fread free freopen frexp fscanf fseek fsetpos ftell fwrite gamma getc getchar getenv gets "
        "gmtime hypot ilogb index isalnum isalpha iscntrl isdigit isgraph islower isprint ispunct isspace isupper "
        "isxdigit j0 j1 jn kill labs ldexp ldiv lgamma link llabs lldiv llrint llround localeconv localtime log "
        "log10 log1p log2 logb longjmp lrint lround lseek main malloc mblen memchr memcmp memcpy memmove memset "
        "mktime modf nan nearbyint nextafter nice open optarg pause perror pipe pow printf putc putchar puts qsort "
        "raise rand random read realloc remainder remove remquo rename rewind rindex rint round scalbn scanf "
        "select send setbuf setjmp setlocale setvbuf signal signgam sin sinh sleep socket sprintf sqrt srand "
        "srandom sscanf stat stderr stdin stdout strcat strchr strcmp strcoll strcpy strcspn strerror strftime "
        "strlen strncat strncmp strncpy strpbrk strrchr strspn strstr strtod strtof strtok strtol strtold strtoll "
        "strtoul strtoull strxfrm sync system tan tanh tgamma time timezone tmpfile tmpnam tolower toupper trunc "
        "truncate ungetc unlink vfprintf vprintf vsprintf wait write y0 y1 yn FILE NULL NAN INFINITY EOF linux "
        "unix near far small interface int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t size_t "
        "ssize_t off_t time_t clock_t va_list"
    ).split()
)

# a MODEL.h of this name would stand in the way of the system's
_HEADERS = frozenset(
    (
        "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic "
        "stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype pthread unistd "
        "atomic memory new vector version features xmmintrin immintrin io fcntl windows"
    ).split()
)

# what is linked with every program would be found under the name of such a library
_LIBRARIES = frozenset("c m gcc gcc_s dl rt util pthread".split())

# what follows the prefix in the names of every library
TAKEN = frozenset(
    (
        "create create_in destroy initialize set_threads save load load_weights isa error_string arena_bytes "
        "instance_bytes failed_check status device_error"
    ).split()
)

# after the prefix, what the objects of one library share; alone, the helpers of its kernels
_SHARED = re.compile(r"kernels_\w+|constant_\d+|tg_\w*")
# after the name of a function, the parts of its program
_PARTS = re.compile(r"run|uses|constants|draws|checks|k\d+_\w*")
# after the prefix in capitals, macros of the header and the source
_MACROS = re.compile(r"API|H|SHARED|KERNELS_ONLY|WITH_\w+")

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST = 48


def _is_reserved(name: str) -> bool:
    return name in _KEYWORDS or name in _LIBRARY or name.startswith("tg_")


def check_prefix(prefix: str) -> None:
    """ValueError unless `prefix` can begin the names of a library, and name its files."""
    if not isinstance(prefix, str) or not _IDENTIFIER.fullmatch(prefix) or len(prefix) > _LONGEST:
        raise ValueError(
            f"prefix must be a C identifier of at most {_LONGEST} letters, digits and underscores that begins with a "
            f"letter, not {prefix!r}"
        )
    if _is_reserved(prefix) or prefix.lower() in _HEADERS | _LIBRARIES | {"tg", "std"}:
        raise ValueError(f"prefix {prefix!r} is a name of C, C++ or their library: choose another, such as {prefix}_model")


def prefix_of(folder: str) -> str:
    """A prefix after the name of a folder."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", folder).strip("_")[: _LONGEST - 6].lower() or "model"
    name = name if name[0].isalpha() else f"m{name}"
    try:
        check_prefix(name)
    except ValueError:
        name += "_model"
    return name


def check_function(name: str) -> None:
    """ValueError unless `name` can follow the prefix as the name of a function."""
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name) or len(name) > _LONGEST:
        raise ValueError(
            f"the key {name!r} of functions must be a C identifier of at most {_LONGEST} letters, digits and "
            "underscores that begins with a letter"
        )
    if name in TAKEN:
        raise ValueError(f"functions may not hold the key {name!r}: every exported library has a function of that name")
    if _SHARED.fullmatch(name):
        raise ValueError(f"functions may not hold the key {name!r}: parts of exported libraries are called so")


def check_together(prefix: str, names: Iterable[str]) -> None:
    """ValueError if the prefix and a function together make a name that something else in the library has."""
    names = list(names)
    codes = {code.name for code in CUDA_CODES}
    for name in names:
        is_code = prefix.isupper() and (name in codes or _MACROS.fullmatch(name))
        if is_code or (prefix in names and _PARTS.fullmatch(name)):
            raise ValueError(f"something else would be called {prefix}_{name}, too: choose another prefix than {prefix!r}")


class Identifiers:
    """Identifiers that differ from each other, from `taken` and from all words of C, C++ and their library."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def exact(self, name: str) -> str:
        """`name` itself. ValueError if it is no identifier, or another thing's already."""
        if not _IDENTIFIER.fullmatch(name) or _is_reserved(name) or name in self._taken:
            raise ValueError(f"{name!r} cannot be the name of an argument or output in C here: choose another")
        self._taken.add(name)
        return name

    def unique(self, label: str) -> str:
        """An identifier after a node's name: `dense_1/kernel` -> `dense_1_kernel`."""
        stem = re.sub(r"[^A-Za-z0-9]+", "_", label).strip("_").lower()[-_LONGEST:].lstrip("_") or "value"
        stem = stem if stem[0].isalpha() and not stem.startswith("tg_") else f"v{stem}"
        name, number = stem, 1
        while name in self._taken or _is_reserved(name):
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name)
        return name


def c_string(text: str) -> str:
    """A C string literal of `text`; characters beyond ASCII and those that mean something to C are escaped."""
    plain = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{plain}"'
