"""Prints the shape of a CSV file: python profile_csv.py FILE"""

import csv
import sys
from collections import Counter
from pathlib import Path

KEEP = 50_000  # distinct values remembered per column


def main(path: str) -> None:
    with Path(path).open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        widths: Counter[int] = Counter()
        empty: Counter[int] = Counter()
        seen: list[set[str]] = [set() for _ in header]
        for row in rows:
            widths[len(row)] += 1
            for column, cell in enumerate(row[: len(header)]):
                empty[column] += not cell.strip()
                if len(seen[column]) < KEEP:
                    seen[column].add(cell)
    print(f"{widths.total()} rows, {len(header)} columns")
    for width, count in sorted(widths.items()):
        if width != len(header):
            print(f"  {count} rows have {width} cells")
    for column, name in enumerate(header):
        distinct = len(seen[column])
        more = "+" if distinct == KEEP else ""
        print(f"  {name}: {distinct}{more} distinct, {empty[column]} empty, such as {sorted(seen[column])[:3]}")


if __name__ == "__main__":
    main(sys.argv[1])
