"""Results in a Hologic's private elements: found by their creator, read defensively, checked row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from collectors.dicom.hologic import MAX_XML_BYTES, NO_RESULTS, private_results, results_or_none
from collectors.errors import CollectorError, ImpossibleValueError, RegionDoesNotAddUpError, UndecodableError
from streams.messages import RegionMeasured

NESTED = """<?xml version="1.0" encoding="UTF-8"?>
<Results><ScanID>A12041903</ScanID><k>1.130</k><d0>48.6</d0><ACF>1.02</ACF><BCF>1.001</BCF>
<Regions>
  <Region><Name>L1</Name><Area>13.26</Area><BMC>11.58</BMC><BMD>0.873</BMD></Region>
  <Region><Name>L1-L4</Name><Area>55.77</Area><BMC>51.85</BMC><BMD>0.930</BMD><Fat>12.1</Fat></Region>
</Regions></Results>"""
NAMED_BY_TAG = """<r xmlns="urn:invented"><K>1.132</K><D0>52.0</D0>
<Neck Area="5.02" BMC="3.79" BMD="0.755"/>
<Left_Total_Hip><area>33.10</area><bmc>29.23</bmc><bmd>.883</bmd></Left_Total_Hip>
</r>"""


def with_private(xml: str | bytes, *, creator: str = "HOLOGIC, Inc.", others: int = 0) -> Dataset:
    """An object whose private block comes after some of other makers."""
    ds = Dataset()
    for number in range(others):
        ds.private_block(0x0019, f"INVENTED {number}", create=True).add_new(0x00, "LO", "of another maker")
    ds.private_block(0x0019, creator, create=True).add_new(0x00, "UN", xml.encode() if isinstance(xml, str) else xml)
    return ds


@pytest.mark.parametrize("others", [0, 3])
def test_the_block_is_found_wherever_it_was_reserved(others: int) -> None:
    results = private_results(with_private(NESTED, others=others))
    assert (results.scan_id, results.k, results.d0) == ("A12041903", 1.130, 48.6)
    assert results.regions == (
        RegionMeasured("L1", 0.873, 11.58, 13.26),
        RegionMeasured("L1-L4", 0.930, 51.85, 55.77),
    )


def test_regions_may_be_attributes_and_named_by_their_element() -> None:
    results = private_results(with_private(NAMED_BY_TAG))
    assert (results.k, results.d0) == (1.132, 52.0)
    assert results.regions == (
        RegionMeasured("Neck", 0.755, 3.79, 5.02),
        RegionMeasured("Total", 0.883, 29.23, 33.10, laterality="left"),
    )


@pytest.mark.parametrize("xml", ["", "   ", "\0\0"])
def test_empty_elements_say_nothing(xml: str) -> None:
    assert private_results(with_private(xml)) == NO_RESULTS


def test_another_maker_s_block_is_not_read() -> None:
    assert private_results(with_private(NESTED, creator="INVENTED, Inc.")) == NO_RESULTS
    assert private_results(Dataset()) == NO_RESULTS


BOMB = """<!DOCTYPE b [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><b>&b;</b>"""


@pytest.mark.parametrize(
    ("xml", "error"),
    [
        (NESTED.replace("51.85", "15.85"), RegionDoesNotAddUpError),
        (NESTED.replace("<Name>L1<", "<Name>L1-L4<"), RegionDoesNotAddUpError),  # one region in two ways
        (NESTED.replace("0.930", "930"), ImpossibleValueError),
        (NESTED.replace("1.130", "one"), ImpossibleValueError),
        (NESTED[:100], UndecodableError),
        (NESTED.replace("UTF-8", "INVENTED-8"), UndecodableError),
        (BOMB, UndecodableError),
        (b"\xff\xfe\x00", UndecodableError),
        ("<a>" + "x" * MAX_XML_BYTES + "</a>", UndecodableError),
    ],
)
def test_what_cannot_be_is_not_read(xml: str | bytes, error: type[CollectorError]) -> None:
    ds = with_private(xml)
    with pytest.raises(error):
        private_results(ds)
    assert results_or_none(ds, "site/dxa-1") == NO_RESULTS


@pytest.mark.parametrize(("vr", "value"), [("FD", b"\0\0\0\0"), ("SQ", b"\xfe\xff\0\xe0\x05"), ("DS", b"a\\b")])
def test_a_value_that_is_not_of_its_representation_is_not_read(vr: str, value: bytes) -> None:
    ds = with_private(NESTED)
    tag = ds.private_block(0x0019, "HOLOGIC, Inc.").get_tag(0)
    ds._dict[tag] = RawDataElement(  # as it comes off the wire: converted when it is looked at
        tag, vr, len(value), value, 0, is_implicit_VR=False, is_little_endian=True
    )
    assert results_or_none(ds, "site/dxa-1") == NO_RESULTS


def test_a_constant_that_is_said_in_two_ways_is_not_said() -> None:
    assert private_results(with_private(NESTED.replace("<ACF>", "<k>1.131</k><ACF>"))).k is None


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_read_or_not(data: bytes) -> None:
    results_or_none(with_private(data), "site/dxa-1")  # whatever it is, it raises nothing


def test_a_deep_tree_is_walked_or_refused() -> None:
    assert results_or_none(with_private("<a>" * 50_000 + "</a>" * 50_000), "site/dxa-1") == NO_RESULTS
