"""The two system partitions: slot images, their verification, boot state and the ``/etc`` of a slot.

Public, by module (nothing is imported here):

- ``bootstate``: ``Slot``, ``SlotState``, ``BootState``; ``parse``, ``render``, ``fresh``; ``choose`` (what GRUB does);
  the transitions ``writing``, ``staged``, ``good``, ``bad``, ``dropped``, ``rollback``; ``fallen_back``. Pure.
- ``image``: ``build`` and ``verify`` slot images; ``identity``, their UUID and salt; ``digest_of`` a kernel.
- ``disk``: the interfaces of what is written (``Disk`` and its parts), ``Deployment``, ``Payload``, ``EtcReport``.
- ``install``: the transactions ``plan``, ``install``, ``rollback``, ``drop``, ``mark_good``, ``mark_bad``; the
  readers ``read_state`` and ``read_deployment``.
- ``etc``: ``OverlayEtc``, the ``/etc`` layers of both slots; ``accounts`` merges their account files.
- ``hardware``: ``Node``, the running node's own disk, found from the kernel's command line.
- ``diagram``: the table of ``bootstate`` as a diagram.
"""
