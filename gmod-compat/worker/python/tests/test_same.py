"""Old code does under the layer what it does under Python 2.7: a real one if it is here, else as one was recorded."""

import json
import sys
import unittest

import real2


class Same(unittest.TestCase):
    """Compared value by value."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        python = real2.python2()
        if python:
            cls.expected = real2.all_of(python)
        else:
            with open(real2.EXPECTED, encoding="utf-8") as file:
                cls.expected = json.load(file)
        cls.found = real2.all_of(sys.executable)

    def test_snippets(self):
        """Each snippet."""
        self.assertEqual(sorted(self.expected["snippets"]), sorted(self.found["snippets"]))
        for name, expected in self.expected["snippets"].items():
            with self.subTest(name):
                self.assertEqual(expected, self.found["snippets"][name])

    def test_modules(self):
        """Each module: descriptors and values."""
        for name, expected in self.expected["modules"].items():
            with self.subTest(name):
                self.assertTrue(expected)
                self.assertEqual(expected, self.found["modules"][name])


if __name__ == "__main__":
    unittest.main()
