#!/bin/bash
# A live system's root: from an ISO or from the network. Every initramfs has this part, and only one with
# /etc/nestos-live.conf (which the live media put behind it) uses it: node and live system start the same initramfs.

check() {
    return 0
}

depends() {
    echo nestos nestos-install ignition
}

installkernel() {
    # The last two are not there on kernels for virtual machines.
    hostonly='' instmods loop isofs cdrom sr_mod usb_storage uas
    return 0
}

install() {
    local unit
    inst_multiple cp chmod ln losetup mkdir modprobe mount rmdir mv sed cat umount udevadm systemctl
    inst_script "$moddir/nestos-live" /usr/libexec/nestos-live
    inst_script "$moddir/is-live-image" /usr/bin/is-live-image
    for unit in nestos-live-config nestos-live nestos-live-network; do
        inst_simple "$moddir/$unit.service" "$systemdsystemunitdir/$unit.service"
    done
    for unit in nestos-live-config nestos-live-network; do
        $SYSTEMCTL -q --root "$initdir" add-requires ignition-complete.target "$unit.service"
    done
    $SYSTEMCTL -q --root "$initdir" add-requires initrd-root-fs.target nestos-live.service
}
