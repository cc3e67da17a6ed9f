"""The function as what it is: a plain function. `python3 -m unittest`, with the SDK installed or on PYTHONPATH."""

import unittest

from tandem_sdk import RowError
from transform import OrderLine, Settings, features, norm, slug


class OrderLineTest(unittest.TestCase):
    def test_a_line(self) -> None:
        found = features(OrderLine(-1, "19.99", 3, 0.5, "Café au lait, 250 g", [3.0, 4.0, 0.0, 0.0]), Settings())
        self.assertEqual((found.net, found.is_large, found.bucket), (19.99 * 3.0 * 0.5, False, 999))
        self.assertEqual((found.title_length, found.slug), (19, "caf-au-lait-250-g"))
        self.assertEqual((found.norm, found.unit), (5.0, [0.6, 0.8, 0.0, 0.0]))

    def test_prices_have_one_form(self) -> None:
        for text in ["", "-", ".5", "5.", "+1", "1e3", "1_000", " 5", "5\n", "1.2.3", "٣", "inf", "1234567890123"]:
            with self.assertRaisesRegex(RowError, "^price: not a number$"):
                features(OrderLine(1, text, 1, None, None, None), Settings())

    def test_what_is_unknown_stays_unknown(self) -> None:
        found = features(OrderLine(1, "1", 1, None, None, [0.0, 0.0, 0.0, 0.0]), Settings(large=1.0))
        self.assertEqual((found.is_large, found.title_length, found.slug), (True, None, None))
        self.assertEqual((found.norm, found.unit), (0.0, None))

    def test_slugs_have_ascii_alone(self) -> None:
        self.assertEqual(slug("-- 😀 A&B __"), "a-b")
        self.assertEqual(slug("寿司"), "")

    def test_squares_are_added_plainly(self) -> None:
        self.assertEqual(norm([1e8, 1.0, 1.0, 0.0]), 1e8)


if __name__ == "__main__":
    unittest.main()
