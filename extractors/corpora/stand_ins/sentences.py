"""Plain sentences without a feeling in their words, as many as a layout needs."""

from itertools import islice, product

_WHO = ("The teacher", "My aunt", "A neighbour", "The driver", "Your cousin", "The baker", "An old friend")
_DOES = ("keeps", "carries", "paints", "repairs", "borrows", "counts", "moves", "sells", "opens", "packs")
_WHAT = ("the boxes", "a green chair", "two letters", "the small clock", "some paper", "the garden door")
_WHEN = ("on Monday", "before noon", "in the hall")
_ZH_WHO = ("老师", "阿姨", "邻居", "司机", "表哥", "面包师", "老朋友")
_ZH_WHEN = ("星期一", "中午以前", "在走廊里")
_ZH_DOES = ("保管", "搬走", "粉刷", "修理", "借来", "数着", "移动", "卖掉", "打开", "包好")
_ZH_WHAT = ("那些箱子", "一把绿椅子", "两封信", "那个小钟", "一些纸", "花园的门")


def english(count: int) -> list[str]:
    """The first ``count`` of 1,260 English sentences."""
    order = product(_WHEN, _WHAT, _DOES, _WHO)
    return [f"{who} {does} {what} {when}." for when, what, does, who in islice(order, count)]


def mandarin(count: int) -> list[str]:
    """The first ``count`` of 1,260 Mandarin sentences."""
    order = product(_ZH_WHEN, _ZH_WHAT, _ZH_DOES, _ZH_WHO)
    return [f"{who}{when}{does}{what}。" for when, what, does, who in islice(order, count)]
