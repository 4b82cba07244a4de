#!/bin/bash
# What nestos-installer left on the boot partition for the first boot: an Ignition config and network configuration.

check() {
    return 0
}

depends() {
    echo nestos ignition
}

install() {
    inst_multiple udevadm mount umount cp mkdir chmod rm cat
    inst_script "$moddir/nestos-installed" /usr/libexec/nestos-installed
    inst_simple "$moddir/nestos-installed.service" "$systemdsystemunitdir/nestos-installed.service"
    inst_simple "$moddir/nestos-installed-network.service" "$systemdsystemunitdir/nestos-installed-network.service"
    inst_simple "$moddir/nestos-installed-done.service" "$systemdsystemunitdir/nestos-installed-done.service"
    for unit in nestos-installed nestos-installed-network nestos-installed-done; do
        $SYSTEMCTL -q --root "$initdir" add-requires ignition-complete.target "$unit.service"
    done
}
