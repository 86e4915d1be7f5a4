"""The system about itself: time, health, editable resources, versions, metrics."""
