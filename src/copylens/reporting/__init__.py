"""Pages out. In: tables and images. Out: figures and an audit's reports, the same bytes for the same results.

page          the house style, and a page's parts
sentences     numbers and names as sentences have them
tables        what figures show, gathered from results
summaries     what figures say in numbers
figures       one file per figure of a study
audit_report  an audit's report, as a page and to sign
"""
