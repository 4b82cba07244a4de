#!/bin/bash
# Ignition in the initramfs: the engine with the modules of Python it needs, its units, and the generator that
# chooses between a first boot and any later one. Called by dracut, in the tree the initramfs is made for.

check() {
    require_binaries python3 useradd || return 1
    # Only where it is asked for: a machine that is not provisioned by Ignition has no use for it.
    return 255
}

depends() {
    echo systemd
}

has() {
    find_binary "$1" > /dev/null
}

installkernel() {
    # Where platforms hand a config over. Built in on some kernels, and not there on others.
    hostonly='' instmods qemu_fw_cfg virtio_blk hv_utils vboxguest vmur mlxbf_bootctl \
        vsock vmw_vsock_virtio_transport vmw_vsock_vmci_transport
    # Config drives.
    hostonly='' instmods sr_mod isofs udf vfat nls_cp437 nls_iso8859-1 nls_ascii
    # What the disks stage makes and the mount stage mounts, where there are the programs that make it.
    hostonly='' instmods virtiofs
    has mkfs.xfs && hostonly='' instmods xfs
    has mkfs.btrfs && hostonly='' instmods btrfs
    has mdadm && hostonly='' instmods md_mod raid0 raid1 raid10 raid456
    # The algorithms of LUKS 2 by default; algif_skcipher and algif_hash let cryptsetup use the kernel's.
    has cryptsetup && hostonly='' instmods dm_crypt aes aesni_intel xts sha256 sha512 algif_skcipher algif_hash
    has clevis && hostonly='' instmods tpm_tis tpm_crb
    return 0
}

# Programs of the disks stage. Which of them an edition has is its own choice: the engine names the package of one
# that is missing before it writes anything.
install_disk_programs() {
    local file
    inst_multiple udevadm mount umount systemctl partx blkid wipefs mkswap mkfs.ext4 || return 1
    inst_multiple -o sgdisk mkfs.fat mkfs.xfs mkfs.btrfs cryptsetup mdadm
    for file in /etc/mke2fs.conf /usr/etc/mke2fs.conf; do
        if [[ -e "${dracutsysrootdir-}$file" ]]; then
            inst_simple "$file" /etc/mke2fs.conf
            break
        fi
    done
    # They make the links below /dev/md.
    has mdadm && inst_rules 63-md-raid-arrays.rules 64-md-raid-assembly.rules
    has clevis && install_clevis
    return 0
}

# clevis is shell scripts: these are what they call to bind and unlock by a TPM, by tang servers, and by both.
install_clevis() {
    local pin
    for pin in sss tang tpm2; do
        inst_multiple -o "clevis-encrypt-$pin" "clevis-decrypt-$pin"
    done
    inst_multiple -o clevis clevis-decrypt clevis-luks-bind clevis-luks-unlock clevis-luks-list \
        clevis-luks-common-functions jose jq luksmeta pwmake curl bash awk cut grep head mktemp od sed sort tail tr \
        tpm2_create tpm2_createpolicy tpm2_createprimary tpm2_flushcontext tpm2_load tpm2_pcrlist tpm2_pcrread \
        tpm2_policypcr tpm2_unseal tpm2_getcap
    inst_libdir_file 'libtss2-tcti-device.so*'
}

install_stage() {
    inst_simple "$moddir/$1" "$systemdsystemunitdir/$1"
    $SYSTEMCTL -q --root "$initdir" add-requires ignition-complete.target "$1"
}

install_libraries() {
    local library
    while read -r library; do
        inst "$library" || return 1
    done < <(ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p')
}

install() {
    local file files target unit

    files=$(python3 -m nestos.ignition.engine.closure --into="$initdir") || {
        dfatal "ignition: the list of the engine's files could not be made"
        return 1
    }
    while read -r file; do
        inst "$file" || return 1
        # dracut looks for the libraries of executables only, and extension modules are not executable.
        [[ $file == *.so ]] && install_libraries "$file"
    done <<< "$files"

    inst_multiple modprobe useradd usermod userdel groupadd groupmod groupdel || return 1
    # On the platforms that have them.
    inst_multiple -o vmware-rpctool vmur chccwdev cio_ignore
    install_disk_programs || return 1

    for file in /etc/ssl/certs/ca-certificates.crt /usr/etc/ssl/certs/ca-certificates.crt \
        /etc/pki/tls/certs/ca-bundle.crt; do
        if [[ -e "${dracutsysrootdir-}$file" ]]; then
            inst "$file"
            break
        fi
    done

    # Configs of the image. The platform's and the user's may be there too.
    for file in "${dracutsysrootdir-}"/usr/lib/ignition/base.d/*.ign \
        "${dracutsysrootdir-}"/usr/lib/ignition/base.platform.d/*/*.ign \
        "${dracutsysrootdir-}"/usr/lib/ignition/user.ign; do
        [[ -e "$file" ]] && inst_simple "${file#"${dracutsysrootdir-}"}"
    done

    inst_script "$moddir/ignition-generator" "$systemdutildir/system-generators/ignition-generator"

    for target in complete subsequent diskful diskful-subsequent; do
        inst_simple "$moddir/ignition-$target.target" "$systemdsystemunitdir/ignition-$target.target"
    done
    for unit in fetch-offline fetch kargs disks mount files; do
        install_stage "ignition-$unit.service" || return 1
    done
    return 0
}
