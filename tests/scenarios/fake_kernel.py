"""A kernel of 4 KiB that prints its command line on the first serial port and resets the machine.

It lets GRUB's own boot path be run to its end, a few times a second, on BIOS and on UEFI. As a Linux image it has both
faces of a real one: a setup header for the 32-bit boot protocol (Documentation/arch/x86/boot.rst) and a PE header for
the EFI stub. The machine code is assembled by hand below, because no assembler is among the tools.
"""

from __future__ import annotations

import struct

MARK = "BOOTED "
_SETUP_SECTORS = 3
_CODE_AT = (1 + _SETUP_SECTORS) * 512
_EFI_AT = 0x100  # behind the start of the code
_PE_AT = 0x280
_TAG = f"\r\n{MARK}\0".encode()

# The same bytes in both modes. It waits for room in the port's queue: QEMU drops what does not fit.
_END = bytes.fromhex(
    "b10a"  #        mov cl, 10
    "e813000000"  #  call put
    "ec a840 74fb"  #  reset: in al, dx ; test al, 0x40 ; jz reset     until everything was sent
    "baf90c0000"  #  mov edx, 0xcf9                  a full reset through the chip set
    "b002 ee"  #     mov al, 2 ; out dx, al
    "b006 ee"  #     mov al, 6 ; out dx, al
    "f4 ebfd"  #     hlt ; jmp back to the hlt
    "bafd030000"  #  put: mov edx, 0x3fd
    "ec a820 74fb"  #  in al, dx ; test al, 0x20 ; jz back
    "b2f8 88c8 ee"  #  mov dl, 0xf8 ; mov al, cl ; out dx, al
    "b2fd c3"  #     mov dl, 0xfd ; ret
)

_CODE_32 = (
    bytes.fromhex(
        "8b9e28020000"  #  mov ebx, [esi+0x228]    boot_params.hdr.cmd_line_ptr
        "e80a000000"  #    call over the tag; its address is pushed
    )
    + _TAG
    + bytes.fromhex(
        "5f"  #            pop edi
        "8a0f 47"  #       mov cl, [edi] ; inc edi
        "84c9 7407"  #     test cl, cl ; jz over
        "e82a000000"  #    call put
        "ebf2"  #          jmp back
        "8a0b 43"  #       mov cl, [ebx] ; inc ebx
        "84c9 7407"  #     test cl, cl ; jz over
        "e81c000000"  #    call put
        "ebf2"  #          jmp back
    )
    + _END
)

_CODE_64 = (
    bytes.fromhex(
        "4883ec38"  #        sub rsp, 0x38
        "488b4260"  #        mov rax, [rdx+0x60]     SystemTable->BootServices
        "488d1569000000"  #  lea rdx, [the GUID]
        "4c8d442430"  #      lea r8, [rsp+0x30]
        "ff9098000000"  #    call [rax+0x98]         HandleProtocol(image, &GUID, &loaded image)
        "488b742430"  #      mov rsi, [rsp+0x30]
        "8b5e30"  #          mov ebx, [rsi+0x30]     LoadedImage->LoadOptionsSize, bytes
        "488b7638"  #        mov rsi, [rsi+0x38]     LoadedImage->LoadOptions, UTF-16 without an end
        "d1eb"  #            shr ebx, 1
        "488d3d59000000"  #  lea rdi, [the tag]
        "8a0f 48ffc7"  #     mov cl, [rdi] ; inc rdi
        "84c9 7407"  #       test cl, cl ; jz over
        "e829000000"  #      call put
        "ebf0"  #            jmp back
        "66ad 88c1"  #       lodsw ; mov cl, al
        "e81e000000"  #      call put
        "ffcb 75f3"  #       dec ebx ; jnz back
    )
    + _END
    + bytes.fromhex("a1311b5b6295d2118e3f00a0c969723b")  # EFI_LOADED_IMAGE_PROTOCOL_GUID
    + _TAG
)


def image() -> bytes:
    """The kernel."""
    code = _CODE_32.ljust(_EFI_AT, b"\x90") + _CODE_64
    code = code.ljust(-(-len(code) // 512) * 512, b"\0")
    kernel = bytearray(_CODE_AT) + code
    kernel[0:2] = b"MZ"
    struct.pack_into("<I", kernel, 0x3C, _PE_AT)
    _put_setup_header(kernel)
    header = _pe_header(code_bytes=len(code))
    kernel[_PE_AT : _PE_AT + len(header)] = header
    return bytes(kernel)


def _put_setup_header(kernel: bytearray) -> None:
    kernel[0x1F1] = _SETUP_SECTORS
    struct.pack_into("<I", kernel, 0x1F4, (len(kernel) - _CODE_AT) // 16)  # syssize
    kernel[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
    struct.pack_into("<H", kernel, 0x206, 0x020C)  # version of the protocol
    kernel[0x211] = 1  # loaded high
    struct.pack_into("<I", kernel, 0x214, 0x100000)  # code32_start
    struct.pack_into("<IIBB", kernel, 0x22C, 0x7FFFFFFF, 0x100000, 1, 20)  # initrd_addr_max, alignment, relocatable
    struct.pack_into("<I", kernel, 0x238, 2047)  # cmdline_size
    struct.pack_into("<QI", kernel, 0x258, 0x100000, 0x100000)  # pref_address, init_size


def _pe_header(*, code_bytes: int) -> bytes:
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, 1, 0, 0, 0, 112 + 16 * 8, 0x022E)
    optional = struct.pack("<HBBIIIII", 0x20B, 2, 0, code_bytes, 0, 0, _CODE_AT + _EFI_AT, _CODE_AT)
    # Image version 1: GRUB then hands the initramfs over by the LoadFile2 protocol instead of the legacy way.
    optional += struct.pack("<QIIHHHHHHI", 0, 512, 512, 0, 0, 1, 0, 0, 0, 0)
    optional += struct.pack("<IIIHHQQQQII", _CODE_AT + code_bytes, _CODE_AT, 0, 10, 0, 0, 0, 0, 0, 0, 16)
    section = struct.pack("<8sIIIIIIHHI", b".text", code_bytes, _CODE_AT, code_bytes, _CODE_AT, 0, 0, 0, 0, 0x60000020)
    return coff + optional.ljust(112 + 16 * 8, b"\0") + section
