"""Rules that are not in force: put in the place of those that are, and nothing else of a device's policy."""

import msgspec
from msgspec.structs import replace

from streams.messages import BaselineAccepted, DeviceReconfigured, DeviceRegistered, Fact
from streams.policy import DevicePolicy, Frequency, QcRules


class Proposal(msgspec.Struct, frozen=True):
    """Rules of QC, and how often each phantom is scanned; a phantom that is not named stays as it is."""

    qc: QcRules
    frequencies: dict[str, Frequency] = {}

    def under(self, policy: DevicePolicy) -> DevicePolicy:
        """Return a policy of the past as it would have been: another phantom or mode then is not our question."""
        phantoms = tuple(
            replace(one, frequency=self.frequencies.get(one.patient_id, one.frequency)) for one in policy.phantoms
        )
        return replace(policy, qc=self.qc, phantoms=phantoms)

    def fact(self, fact: Fact, in_force: DevicePolicy | None) -> Fact:
        """Return a fact as these rules would have made it.

        Parameters
        ----------
        in_force
            The policy that stood in the log then.
        """
        if isinstance(fact, DeviceRegistered | DeviceReconfigured):
            return replace(fact, policy=self.under(fact.policy))
        if isinstance(fact, BaselineAccepted) and in_force is not None:
            return self.baseline(fact, in_force)
        return fact

    def baseline(self, baseline: BaselineAccepted, in_force: DevicePolicy) -> BaselineAccepted:
        """Return a baseline with the sigma that this floor gives; limits follow from the tolerance in force."""
        if self.qc.sigma_floor_percent == in_force.qc.sigma_floor_percent:
            return baseline
        floor = baseline.mean_g_cm2 * self.qc.sigma_floor_percent / 100.0
        return replace(baseline, sigma_g_cm2=max(baseline.sd_g_cm2, floor) or baseline.sigma_g_cm2)


def proposal_of(policy: DevicePolicy) -> Proposal:
    """Return what a policy proposes."""
    return Proposal(policy.qc, {one.patient_id: one.frequency for one in policy.phantoms})
