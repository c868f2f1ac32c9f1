# The first process of a machine: sh boot.sh FOLDER, in namespaces of its own (machine/mod.rs).
# What this system has on its disk can be changed there, and only there.
set -eu
folder=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
cd "$folder/root"

mount -t proc proc proc
# The kernel is everybody's: nothing in here may tune it.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
fi
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    : > "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp

# Nothing but what a service needs below it.
for unit in systemd-sysctl systemd-modules-load systemd-binfmt systemd-remount-fs systemd-udevd systemd-udev-trigger \
    systemd-timesyncd systemd-networkd systemd-resolved systemd-random-seed systemd-pstore; do
    ln -sf /dev/null "etc/systemd/system/$unit.service"
done
for unit in sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount dev-hugepages.mount dev-mqueue.mount \
    sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount tmp.mount; do
    ln -sf /dev/null "etc/systemd/system/$unit"
done
: > etc/fstab
# Where this system is a container, it says that nothing is to be started.
rm -f usr/sbin/policy-rc.d

mkdir -p mnt/old
pivot_root . mnt/old
umount -l mnt/old
# Credentials are mounted from the side (mount_namespaces(7)); elsewhere systemd does this itself.
mount --make-rshared /
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=basic.target --show-status=0 --log-target=console
