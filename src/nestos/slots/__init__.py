"""The two system partitions: slot images, their verification, boot state and the ``/etc`` of a slot."""
