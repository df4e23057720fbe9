"""Tables of metrics as text, as wide as a terminal."""

from mottool.metrics.tables import Table, as_text, fit_to_width


def test_the_last_columns_are_left_out_until_a_table_fits():
    names = ["MOTA", "IDF1", "IDSW", "Rcll", "FPS"]
    values = dict.fromkeys(names, 0.5)
    tables = [
        Table(["Sequence"], names, [(["a"], values)], title="a title that is longer than that"),
        Table(["Sequence"], names, [(["a longer name"], values)]),
        Table(["Sequence"], ["AP", "Rcll"], [(["a"], values)]),
    ]
    whole = as_text(tables)
    width = max(map(len, whole.splitlines()[4:6]))
    assert fit_to_width(tables, None) == (tables, [])
    assert as_text(fit_to_width(tables, width)[0]) == whole
    shown, left_out = fit_to_width(tables, width - 1)
    assert left_out == ["Rcll"]
    assert [table.metrics for table in shown] == [
        *[["MOTA", "IDF1", "IDSW", "FPS"]] * 2,
        ["AP", "Rcll"],
    ]
    assert [table.title for table in shown] == [table.title for table in tables]
    shown, left_out = fit_to_width(tables, 1)
    assert [table.metrics for table in shown] == [["MOTA", "FPS"]] * 2 + [["AP"]]
    assert left_out == ["IDF1", "IDSW", "Rcll"]
