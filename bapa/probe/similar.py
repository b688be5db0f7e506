"""Which captions are alike: cosine of TF-IDF word vectors (Salton and Buckley 1988), computed by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Similar:
    """Ranks captions by the words they share; words that most captions share ("a photo of") do not count."""

    def __init__(self, captions: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._count = len(captions)
        words = TfidfVectorizer(stop_words="english", max_df=0.5)
        try:
            self._vectors = words.fit_transform(captions)
        except ValueError:  # no word is left
            self._vectors = None

    def likeness(self, index: int) -> NDArray[np.float64]:
        """Cosine of every caption to caption ``index``, (captions,)."""
        if self._vectors is None:
            return np.zeros(self._count)
        return np.asarray((self._vectors @ self._vectors[index].T).toarray().ravel())

    def ranked(self, index: int) -> list[int]:
        """The captions that share a word with caption ``index``, the most similar first."""
        if self._vectors is None:
            return []
        cosine = self.likeness(index)
        order = np.argsort(-cosine, kind="stable")
        return [int(other) for other in order[: int((cosine > 0).sum())] if other != index]
