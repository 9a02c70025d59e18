"""The words that worlds are made of: short and common, so that a small tokenizer keeps each as one token.

Every seed draws from the same pools, so a policy meets in a held-out world no new words, only new combinations.
"""

from __future__ import annotations

__all__ = ["AMOUNTS", "CAUSES", "FAMILIES", "FIRST", "LENGTHS", "MATERIALS", "NAMES", "RIVERS", "TOWNS", "YEARS"]

NAMES = tuple(
    """Kestrel Heron Swift Falcon Plover Curlew Raven Robin Osprey Lark Martin Wren Finch Starling Crane Stork Merlin
    Harrier Petrel Gannet Puffin Dunlin Linnet Siskin Bunting Thrush Magpie Jackdaw Rook Bittern Teal Wigeon Eider
    Avocet Godwit Tern Skua Fulmar Nightjar Hoopoe Juniper Alder Rowan Hazel Willow Aspen Maple Linden Cedar Laurel
    Myrtle Bracken Heather Gorse Clover Yarrow Sorrel Tansy Thistle Bramble Amber Garnet Topaz Opal Onyx Beryl Jasper
    Agate Quartz Cobalt Ember Beacon Harvest Lantern Anchor Compass Anvil Hammer Saddle Mirror""".split()
)
FIRST = tuple(
    """Anna Peter Clara Hugo Edith Oscar Nora Felix Ida Victor Ruth Simon Greta Walter Helen Arthur Irene Bruno Marta
    Conrad Lydia Edwin Sofia Gustav Alma Herbert Vera Julius Agnes Leopold Flora Bernard Judith Ernest Emma Rupert Dora
    Anton Stella Magnus Celia Albert Louise Ralph Paula Theo Olive Henry Rosa Philip""".split()
)
FAMILIES = tuple(
    """Moss Lund Carter Voss Hale Brandt Fisher Nolan Pryce Keller Dunn Sterling Marsh Holt Weber Quinn Barlow Stone
    Larsen Frost Mercer Kemp Novak Archer Doyle Becker Thorne Ashby Ritter Lowe Vance Sommer Drake Ellis Fleming Gray
    Hansen Irving Jonas Kirby Lambert Mason Norris Osborn Parker Reeves Sawyer Turner Walsh Yates""".split()
)
TOWNS = tuple(
    """Aldon Brexley Carrow Dunmere Elsworth Farley Garrick Hollin Ivering Kelby Lanrick Marlow Norwell Oakham Penrith
    Quarley Ravenby Selwick Tarn Ulster Varden Welby Yarrick Zennor Astley Birkham Corley Denholm Eastry Fenwick Grimsby
    Hadley Ilford Kirton Langham Melrose Newark Ormsby Paxton Redmere""".split()
)
RIVERS = tuple("Tamar Esk Wye Derwent Severn Avon Tees Ouse Trent Nene Stour Medway Exe Dart Wear Lune".split())
MATERIALS = tuple("granite slate brick oak limestone sandstone marble iron timber flint concrete copper".split())
CAUSES = tuple("flood fire storm landslide frost earthquake".split())
YEARS = tuple(str(year) for year in range(1720, 1980))
AMOUNTS = tuple(str(amount) for amount in range(1100, 9900, 100))
LENGTHS = tuple(str(length) for length in range(12, 100))
