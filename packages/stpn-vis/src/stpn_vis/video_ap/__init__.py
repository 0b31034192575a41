"""Average precision of masks over whole videos, as YouTube-VIS and OVIS define it."""

from stpn_vis.video_ap.files import read_results, read_truth
from stpn_vis.video_ap.metric import VideoAp, video_ap
from stpn_vis.video_ap.tracks import Track, Truth

__all__ = ["Track", "Truth", "VideoAp", "read_results", "read_truth", "video_ap"]
