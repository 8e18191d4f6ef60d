"""What towers that read pictures share: layers, configurations and their checks, how pictures become inputs."""
