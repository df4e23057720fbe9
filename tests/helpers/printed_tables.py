"""The numbered tables of the five papers: their rows and columns, typed from the papers' texts.

Percentages of mostly tracked and mostly lost objects are MT% and ML%. A table that has one column
per data set, or two columns per model, is turned so that a row is what is scored together.
"""

__all__ = ["PRINTED", "TURNED"]

SIZES = "AP_S AP_M AP_L TPR_S TPR_M TPR_L IDs_S IDs_M IDs_L"
MOT17 = "MOTA IDF1 MT ML FP FN IDS"
ABLATION = "MOTA IDF1 IDs"

# Paper and number of a table: the number of rows, and the columns.
PRINTED = {
    ("fairmot", "1"): (5, "MOTA IDF1 IDs Prec Rec AP TPR"),
    ("fairmot", "2"): (5, "MOTA IDF1 IDs Prec Rec FPS AP TPR"),
    ("fairmot", "3"): (5, SIZES),
    ("fairmot", "4"): (4, "MOTA IDF1 IDs FPS TPR"),
    ("fairmot", "5"): (2 + 2, "MOTA IDF1 IDs FPS"),
    ("fairmot", "6"): (6 + 10 + 2 + 1, "MOTA IDF1 MT% ML% IDs Hz"),
    ("jde", "1"): (4, "FPS MOTA IDF1"),
    ("jde", "2"): (7, "#img #box #id"),
    ("jde", "3"): (7, "AP TPR MOTA IDs"),
    ("jde", "4"): (7, "#box #id MOTA IDF1 MT% ML% IDs FPSD FPSA FPS"),
    ("cstrack", "I"): (5, ABLATION),
    ("cstrack", "II"): (6, ABLATION),
    ("cstrack", "III"): (8, ABLATION),
    ("cstrack", "IV"): (4, "#img #box #id MOTA IDF1 IDs"),
    ("cstrack", "V"): (10, ABLATION),
    ("cstrack", "VI"): (16 + 10 + 4, "MOTA IDF1 MT% ML% FP FN IDs FPS"),
    ("cstrack", "VII"): (6, "MOTA IDF1 MT% ML% FP FN IDs"),
    ("cstrack", "VIII"): (3, "MOTA IDF1 IDP IDR IDs"),
    ("outrack", "1"): (4, MOT17),
    ("outrack", "2"): (3, MOT17),
    ("outrack", "3"): (6, MOT17),
    ("outrack", "4"): (3, MOT17),
    ("outrack", "5"): (3 + 3, MOT17),
    ("outrack", "6"): (4, MOT17),
    ("outrack", "7"): (3, "R1 mAP"),
    ("outrack", "8"): (6, "R1 mAP"),
    ("outrack", "9"): (3, MOT17),
    ("outrack", "10"): (6 + 6, MOT17),
    ("outrack", "11"): (15 + 15 + 11, "MOTA IDF1 MT% ML% FP FN Recall IDS Frag Hz"),
    ("tdt", "1"): (2, "MOTA IDF1 IDs AP FPS"),
    ("tdt", "2"): (8 + 6 + 4, "MOTA IDF1 MT% ML% IDs"),
    ("tdt", "3"): (3, "MOTA IDF1 IDs AP"),
    ("tdt", "4"): (3 * 2, "AP MOTA"),
    ("tdt", "5"): (4, "MOTA IDF1 IDs AP FPS"),
    ("tdt", "6"): (4, "MOTA IDF1 IDs AP FPS"),
}
TURNED = {("jde", "2")}  # the rows of these tables are columns in the paper
