"""Panels to play with: move a slider, and map, measures and the line for the settings follow."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import geopandas as gpd
import ipywidgets as w
import yaml

from terrlib.errors import TerrlibError
from terrlib.show import maps
from terrlib.show.tables import Shown
from terrlib.show.words import Words

Draw = Callable[[int, dict[str, float]], tuple[gpd.GeoDataFrame, Shown, str]]
MOST = 60


class TerritoryPanel(w.VBox):
    """Number of territories and tolerances to move; the map follows.

    Parameters
    ----------
    count, balance
        Where to start.
    draw
        Called with a number and tolerances; returns territories with their measures, a table and a
        sentence. A refusal is shown as text.
    words
        Language.
    first
        What `draw` would return for the start, so that opening the panel costs nothing.
    """

    def __init__(
        self,
        count: int,
        balance: dict[str, float],
        draw: Draw,
        words: Words,
        first: tuple[gpd.GeoDataFrame, Shown, str],
    ) -> None:
        self._draw, self._words = draw, words
        self.count = w.IntSlider(
            value=count,
            min=1,
            max=max(MOST, count),
            description=words.say("panel.count"),
            continuous_update=False,
        )
        self.tolerance = {
            measure: w.FloatSlider(
                value=value,
                min=0.02,
                max=0.6,
                step=0.01,
                description=words.label(measure),
                readout_format=".0%",
                continuous_update=False,
            )
            for measure, value in balance.items()
        }
        self.map, self.card, self.said = w.HTML(), w.HTML(), w.HTML()
        self.line = w.HTML()
        for slider in (self.count, *self.tolerance.values()):
            slider.observe(self._moved, names="value")
        self._show(first)
        controls = w.HBox([self.count, *self.tolerance.values()])
        super().__init__([controls, self.said, w.HBox([self.map, self.card]), self.line])

    def _asked(self) -> tuple[int, dict[str, float]]:
        return self.count.value, {m: round(s.value, 2) for m, s in self.tolerance.items()}

    def _moved(self, _: object) -> None:
        self.said.value = escape(self._words.say("panel.working"))
        try:
            self._show(self._draw(*self._asked()))
        except TerrlibError as refusal:
            told = self._words.tell(refusal.said)
            self.said.value = f"<b style='color:#b3261e'>{escape(told)}</b>"

    def _show(self, found: tuple[gpd.GeoDataFrame, Shown, str]) -> None:
        territories, table, sentence = found
        count, balance = self._asked()
        html = maps.territory_map(territories, self._words, height=400).get_root().render()
        self.map.value = f'<iframe srcdoc="{escape(html, quote=True)}" style="width:560px;height:400px;border:0"></iframe>'
        self.card.value, self.said.value = str(table), escape(sentence)
        lines = yaml.safe_dump(
            {"territories": {"count": count, "balance": balance}}, sort_keys=False
        )
        self.line.value = f"{escape(self._words.say('panel.settings'))}<pre>{escape(lines)}</pre>"
