#!/bin/bash
# What a node's initramfs needs beside dracut's own modules: the verified slot, its /var and /etc, and, when
# provisioning or an encrypted /var asks for it, the network. The programs for arrays and volumes come with the module
# ignition, which has made them.

check() {
    return 0
}

depends() {
    echo systemd systemd-veritysetup systemd-networkd dm
}

installkernel() {
    hostonly='' instmods erofs overlay dm-verity ext4 vfat fat nls_ascii nls_cp437 nls_iso8859-1 \
        virtio_blk virtio_scsi virtio_net virtio_pci virtio_rng qemu_fw_cfg i6300esb softdog \
        ahci sd_mod sr_mod nvme xhci_pci hv_storvsc hv_netvsc xen-blkfront xen-netfront vmw_pvscsi vmxnet3 ena gve
}

install() {
    local unit
    inst_multiple udevadm mount umount sync rm mkdir cat readlink sed tr sleep timeout journalctl systemctl blkid sfdisk partx \
        fsck.ext4 e2fsck
    inst_multiple -o /usr/lib/systemd/systemd-growfs
    inst_script "$moddir/nestos-sysroot" /usr/libexec/nestos-sysroot
    inst_script "$moddir/nestos-var" /usr/libexec/nestos-var
    inst_script "$moddir/nestos-sysroot-generator" "$systemdutildir/system-generators/nestos-sysroot-generator"
    inst_simple "$moddir/nestos-sysroot.service" "$systemdsystemunitdir/nestos-sysroot.service"
    inst_simple "$moddir/nestos-grow-var.service" "$systemdsystemunitdir/nestos-grow-var.service"
    inst_simple "$moddir/nestos-initrd-network.service" "$systemdsystemunitdir/nestos-initrd-network.service"
    inst_simple "$moddir/nestos-provisioned.service" "$systemdsystemunitdir/nestos-provisioned.service"
    $SYSTEMCTL -q --root "$initdir" add-requires ignition-complete.target nestos-provisioned.service
    for unit in emergency dracut-emergency; do
        inst_simple "$moddir/nestos-emergency.conf" "$systemdsystemunitdir/$unit.service.d/10-nestos.conf"
    done
    inst_simple "$moddir/80-dhcp.network" /usr/lib/systemd/network/80-dhcp.network
    inst_simple /usr/lib/systemd/system.conf.d/10-nestos-watchdog.conf
    inst_simple /usr/lib/systemd/system.conf.d/20-nestos-devices.conf
    $SYSTEMCTL -q --root "$initdir" add-requires initrd-root-fs.target nestos-sysroot.service
    # The network comes up only for provisioning from a URL, never for an ordinary boot.
    rm -f "$initdir/etc/systemd/system/"*.wants/systemd-networkd* "$initdir/usr/lib/systemd/system/"*.wants/systemd-networkd*
    # DNS without a resolver daemon: see nestos-initrd-network.service.
    ln -sf /run/nestos-resolv.conf "$initdir/etc/resolv.conf"
}
