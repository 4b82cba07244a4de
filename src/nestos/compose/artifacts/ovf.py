"""The descriptor of an OVA: a machine with one disk and one network card (DMTF DSP0243, OVF 1.0 as vSphere reads it).

Two flavours in one table. VMware's carries the guestinfo names of Ignition as properties that a user fills in, and a
paravirtual controller; oVirt's a virtio controller. The kind numbers are those of CIM_ResourceAllocationSettingData.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from xml.sax.saxutils import escape

_VMWARE_PROPERTIES = """
    <ProductSection ovf:required="false">
      <Info>Provisioning on first boot</Info>
      <Product>NestOS</Product>
      <Version>$version</Version>
      <Property ovf:key="guestinfo.ignition.config.data" ovf:type="string" ovf:userConfigurable="true" ovf:value="">
        <Label>Ignition config</Label>
      </Property>
      <Property ovf:key="guestinfo.ignition.config.data.encoding" ovf:type="string" ovf:userConfigurable="true"
          ovf:value="">
        <Label>Encoding of the config: base64, gzip+base64 or none</Label>
      </Property>
    </ProductSection>"""


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """What differs between the takers of an OVA."""

    system: str
    controller: str
    network: str
    properties: str = ""
    transport: str = ""


FLAVOURS: Mapping[str, Flavour] = {
    "vmware": Flavour(
        system="vmx-17",
        controller="VirtualSCSI",
        network="VmxNet3",
        properties=_VMWARE_PROPERTIES,
        transport=' ovf:transport="com.vmware.guestInfo"',
    ),
    "ovirt": Flavour(system="virtio", controller="VirtIO_SCSI", network="VirtIO"),
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine that the archive describes."""

    name: str
    version: str
    flavour: Flavour
    disk_bytes: int
    """Capacity of the disk."""
    cores: int = 2
    memory_mib: int = 4096


_DOCUMENT = """\
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
    xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
    xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
    <File ovf:id="file1" ovf:href="$disk" ovf:size="$file_bytes"/>
  </References>
  <DiskSection>
    <Info>Virtual disks</Info>
    <Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="$disk_bytes" ovf:capacityAllocationUnits="byte"
        ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>Networks</Info>
    <Network ovf:name="network1"><Description>The network of the node</Description></Network>
  </NetworkSection>
  <VirtualSystem ovf:id="$name">
    <Info>A NestOS node</Info>
    <Name>$name</Name>
    <OperatingSystemSection ovf:id="101"><Info>Linux, 64 bits</Info></OperatingSystemSection>$properties
    <VirtualHardwareSection$transport>
      <Info>Virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual hardware</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>$name</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>$system</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:ElementName>$cores processors</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>$cores</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:ElementName>$memory_mib MiB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>$memory_mib</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:ElementName>SCSI controller</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>$controller</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Disk</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>7</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>network1</rasd:Connection>
        <rasd:ElementName>Network card</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>$network</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""


def render(machine: Machine, *, disk: str, file_bytes: int) -> str:
    """The text of the ``.ovf`` file for a disk file ``disk`` of ``file_bytes``."""
    flavour = machine.flavour
    version = escape(machine.version)
    return Template(_DOCUMENT).substitute(
        name=escape(machine.name),
        disk=escape(disk),
        file_bytes=file_bytes,
        disk_bytes=machine.disk_bytes,
        cores=machine.cores,
        memory_mib=machine.memory_mib,
        system=flavour.system,
        controller=flavour.controller,
        network=flavour.network,
        transport=flavour.transport,
        properties=Template(flavour.properties).substitute(version=version),
    )
