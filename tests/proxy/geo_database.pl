# SPDX-License-Identifier: Apache-2.0
# Writes a database of addresses: geo_database.pl FILE TYPE NETWORK=VALUE…
use strict;
use warnings;
use MaxMind::DB::Writer::Tree;

my ($file, $type, @entries) = @ARGV;
my %types = (country => 'map', iso_code => 'utf8_string', autonomous_system_number => 'uint32');
my $tree = MaxMind::DB::Writer::Tree->new(
    ip_version            => 6,
    record_size           => 24,
    database_type         => $type,
    languages             => ['en'],
    description           => { en => 'A test' },
    map_key_type_callback => sub { $types{ $_[0] } },
    alias_ipv6_to_ipv4    => 0,
    remove_reserved_networks => 0,
);
for my $entry (@entries) {
    my ($network, $value) = split /=/, $entry;
    $tree->insert_network($network, $type =~ /ASN/ ? { autonomous_system_number => $value }
                                                   : { country => { iso_code => $value } });
}
open my $out, '>:raw', $file or die $!;
$tree->write_tree($out);
close $out;
