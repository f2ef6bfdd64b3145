"""Campaigns: every tile of every layer of networks of any size on the RTL, by workers that may die at any time."""

from .engine import CampaignOptions, run_campaign
from .prepare import Request
from .results import Results, results_file

__all__ = ["CampaignOptions", "Request", "Results", "results_file", "run_campaign"]
