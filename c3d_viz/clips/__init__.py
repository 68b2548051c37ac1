"""Videos, frame folders and GIFs: 16 frames of one as a ``Clip``, and as the input of a network."""

from .camera import Similarity, camera_motion, compose, invert, mean_shift, register
from .clip import Clip, clip_name, read_clip, read_clips, span_of, video_info, window_starts
from .demo import demo_clips
from .folder import counting_order
from .prepare import cropped_frames, preprocess, preprocess_frames
from .search import find_videos
from .stream import Flaw, WindowStream, add_flaw, flaw_notes
from .suffixes import PICTURE_SUFFIXES, VIDEO_SUFFIXES, begins_like_video
from .timeline import motion_energy, read_thumbnails
from .video import VideoInfo
from .volumes import read_volume, volume_frames
