# The smallest guest that tells whether KVM runs real kernels: a boot sector that enters long mode, uses the vector
# and bit instructions that a stock kernel uses when CPUID offers them, counts fast, and says so on the serial port.
# Made into the bytes in accelerator.py by:
#   as --32 probe.S -o probe.o && ld -m elf_i386 -Ttext=0x7c00 --oformat=binary probe.o -o probe.bin

    .code16
    .globl _start
_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x7c00, %sp
    mov $0x1000, %di            # page tables at 0x1000..0x3fff: the first 2 MiB, mapped to themselves
    mov $0x0c00, %cx
    xor %eax, %eax
    cld
    rep stosl
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x0083, 0x3000
    mov $0x1000, %eax
    mov %eax, %cr3
    mov $0x6a0, %eax            # CR4: PAE, OSFXSR, OSXMMEXCPT; bit 7 (global pages)
    mov %eax, %cr4
    mov $0xc0000080, %ecx       # EFER: long mode
    rdmsr
    or $0x100, %eax
    wrmsr
    lgdt gdt_pointer
    mov $0x80000011, %eax       # CR0: paging, extension type, protection
    mov %eax, %cr0
    ljmp $8, $long_mode

    .code64
long_mode:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $0x7c00, %esp
    mov $1, %eax
    cpuid
    mov %ecx, %ebp
    pxor %xmm0, %xmm0           # SSE2: every 64-bit processor
    paddd %xmm0, %xmm0
    mov $7, %eax
    xor %ecx, %ecx
    cpuid
    mov %ebx, %edi
    bt $8, %edi                 # BMI2: what kernels decompress themselves with
    jnc no_bmi2
    mov $3, %ecx
    mov $1, %eax
    shlx %ecx, %eax, %eax
    cmp $8, %eax
    jne failed
no_bmi2:
    bt $28, %ebp                # AVX, and with it XSAVE: what dm-verity hashes with
    jnc no_avx
    mov %cr4, %rax
    or $0x40000, %eax
    mov %rax, %cr4
    xor %ecx, %ecx
    xor %edx, %edx
    mov $7, %eax
    xsetbv
    vxorps %ymm1, %ymm1, %ymm1
no_avx:
    mov $100000000, %ecx        # a moment on a processor, minutes where each instruction is emulated
count:
    dec %ecx
    jnz count
    lea text, %esi
    mov $0x3f8, %edx
next:
    lodsb
    test %al, %al
    jz failed
    out %al, %dx
    jmp next
failed:
    mov $0x10, %eax
    mov $0xf4, %edx             # isa-debug-exit: QEMU ends with status 33
    out %eax, %dx
    hlt
    jmp failed

text:
    .asciz "guest-code-runs\n"
    .balign 8
gdt:
    .quad 0
    .quad 0x00209a0000000000
    .quad 0x0000920000000000
gdt_pointer:
    .word 23
    .long gdt
    .org 510
    .word 0xaa55
