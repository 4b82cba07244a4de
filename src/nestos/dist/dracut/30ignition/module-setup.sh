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

installkernel() {
    # Where QEMU hands a config over. Built in on some kernels.
    hostonly='' instmods qemu_fw_cfg
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
