"""The annex for whoever has to file a report: each line beside the frameworks that ask for it, and why its limit."""

SOURCES = (
    "Risks: Article 29 Working Party, Opinion 05/2014 on anonymisation techniques (WP216). Disclosures: Pilgram et al. "
    "2025, A consensus privacy metrics framework for synthetic data (Patterns, doi 10.1016/j.patter.2025.101320). It "
    "advises against measures of similarity that have no precise meaning. Here a similarity counts only against the "
    "same of other patients. The European Health Data Space, Regulation (EU) 2025/327, article 66, asks for anonymised "
    "data where these serve the purpose; a guideline for health data access bodies (TEHDAS2 D7.2, doi "
    "10.5281/zenodo.20269109) treats synthetic data, whose privacy risks have to be assessed. This report is about "
    "images; it is no legal advice."
)
NO_RISK = "–"
# By line: the risk of WP216, the disclosure of the consensus framework, and the reason for the limit.
LINES = {
    "identical_files": ("singling out", "identity", "A released real image is a disclosure, however few there are."),
    "kind": (NO_RISK, NO_RISK, "A generator may mirror half of its samples; more means another kind of image."),
    "calibration_size": (
        NO_RISK,
        NO_RISK,
        "At three times a threshold's usual 5 % false positives copies can still be counted; 66 patients ensure it.",
    ),
    "apart": (NO_RISK, NO_RISK, "A patient on both sides makes every comparison wrong."),
    "shift": (
        NO_RISK,
        NO_RISK,
        "Whatever separates patients without a generator is no disclosure; 0.05 above chance is hardly visible.",
    ),
    "control_rate": (NO_RISK, NO_RISK, "As for the threshold: what the rule does to new patients, measured."),
    "held_out": ("singling out", "identity", "Held-out patients must be as far from the samples as chance has it."),
    "sensitivity": (
        "singling out",
        "identity",
        "Who misses more than a quarter of copies can't say that there are few.",
    ),
    "copies": (
        "singling out",
        "identity",
        "One in twenty. The share that a threshold calls by chance: a lower limit needs many more patients.",
    ),
    "patients": (
        "singling out",
        "identity",
        "One in twenty of those who were trained on, however many the samples.",
    ),
    "agreement": ("singling out", "identity", "The limit of copies, for each detector alone."),
    "membership_samples": (
        NO_RISK,
        "membership",
        "0.64 is the area of normal scores whose best threshold finds a fifth more of members than of others.",
    ),
    "linkability": ("linkability", "attribute", "The same fifth: as much as an attack may find beyond chance."),
    "inference": ("inference", "attribute", "The same fifth: as much as an attack may find beyond chance."),
    "membership": (NO_RISK, "membership", "0.60: weights can be asked again and again, samples can't."),
    "consistency": (NO_RISK, NO_RISK, "A verdict that other patients of the same kind would change is none."),
}
